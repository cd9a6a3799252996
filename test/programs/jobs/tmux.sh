# root: suites
# tmux: a server, panes that are terminals of a shell each, resizing, a client that attaches.
cd /tmp
export HOME=/tmp TERM=xterm
printf '%s\n' "PS1='$ '" >rc
echo 'set -g default-command "bash --rcfile /tmp/rc"' >.tmux.conf
t() { tmux -L job "$@"; }
# awaits pane PATTERN: until the pane shows the line
awaits() { for i in $(seq 100); do t capture-pane -p -t "$1" | grep -q -- "$2" && return; sleep 0.1; done; echo "no $2 in $1:"; t capture-pane -p -t "$1"; }
t new-session -d -s main -x 80 -y 24
t list-sessions -F '#{session_name} #{session_windows} #{window_width}x#{window_height}'
t send-keys -t main 'stty size; tty | tr 0-9 N; echo $TERM' Enter
awaits main '^tmux-256color$'
t capture-pane -p -t main | grep -E '^[0-9N/a-z]+( [0-9]+)?$'
t split-window -h -t main
t list-panes -t main -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command}'
t send-keys -t main.1 'stty size; sleep 100' Enter
awaits main.1 '^2[34] [0-9]*$'
for i in $(seq 100); do [ "$(t display -p -t main.1 '#{pane_current_command}')" = sleep ] && break; sleep 0.1; done
t display -p -t main.1 '#{pane_current_command} #{pane_current_path}'
t send-keys -t main.1 C-c
t send-keys -t main.1 'echo status $?' Enter
awaits main.1 '^status 130$'
t send-keys -t main.1 'clear; trap "echo resized; stty size" WINCH; echo set' Enter
awaits main.1 '^set$'
t resize-pane -t main.1 -x 20
t send-keys -t main.1 '' Enter
awaits main.1 'resized$'
awaits main.1 '^2[34] 20$'
t pipe-pane -t main.0 'cat >piped'
t send-keys -t main.0 'seq 1 2000 | tail -n 2; echo end of "it"' Enter
awaits main.0 '^end of it$'
tr -d '\r' <piped | grep -c -E '^(1999|2000|end of it)$'
t new-window -t main -n top 'exec top -d 100'
awaits main:top 'COMMAND'
t list-windows -t main -F '#{window_name}'
t send-keys -t main:top q
for i in $(seq 100); do t list-windows -t main -F '#{window_name}' | grep -q top || break; sleep 0.1; done
t list-windows -t main -F '#{window_index} #{window_panes}'
(sleep 1; t detach-client -s main) & script -qec 'stty rows 30 cols 90; tmux -L job attach -t main' /dev/null </dev/null >seen
grep -a -c 'detached (from session main)' seen
wait
t kill-server
for i in $(seq 100); do t ls 2>/dev/null || break; sleep 0.1; done; echo "server gone"
