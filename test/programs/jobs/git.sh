# git with fixed dates: init, add, commit, log, branch, merge, gc, clone, fsck.
export HOME=/tmp/home GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@d
export GIT_AUTHOR_DATE='2024-01-02T03:04:05Z' GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'
mkdir -p $HOME && cd $HOME
git config --global init.defaultBranch main
git config --global gc.auto 0
git init -q repo && cd repo
for i in $(seq 1 60); do mkdir -p d$((i % 5)); echo "file $i" >d$((i % 5))/f$i; done
git add . && git commit -q -m first
for i in 1 2 3; do echo "more $i" >>d1/f1; git commit -q -am "change $i"; done
git log --format='%H %s'
git checkout -q -b side HEAD~2 && echo side >side && git add side && git commit -q -m side
git checkout -q main && git merge -q --no-edit side && git log --oneline --graph | cat
git diff HEAD~1 --stat | cat
git status --short; echo dirty >d2/f2; git status --short; git stash -q; git stash list | wc -l
git gc -q && git count-objects -v | grep -E '^(count|packs|in-pack)'
git fsck --full 2>&1 | grep -v dangling
cd .. && git clone -q repo copy && cd copy && git rev-parse HEAD && ls | wc -l
git clone -q --bare file://$HOME/repo ../bare.git && git -C ../bare.git rev-list --count HEAD
git archive HEAD | md5sum
git rm -q -r d3 && git commit -q -m removed && git push -q ../bare.git HEAD:refs/heads/pushed && git -C ../bare.git log -1 --format=%H pushed
git grep -n 'file 7' | head -n 3
