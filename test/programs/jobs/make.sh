# make -j2 of a small project of several files.
mkdir /tmp/proj && cd /tmp/proj
for i in 1 2 3 4 5 6; do
	printf '#include "all.h"\nint f%d(int x) { return x * %d + 1; }\n' $i $i >f$i.c
	echo "int f$i(int);" >>all.h
done
printf '#include <stdio.h>\n#include "all.h"\nint main(void) { printf("%%d\\n", f1(1)+f2(2)+f3(3)+f4(4)+f5(5)+f6(6)); return 0; }\n' >main.c
cat >Makefile <<'EOF'
OBJ = main.o f1.o f2.o f3.o f4.o f5.o f6.o
CFLAGS = -O1 -Wall
prog: libf.a main.o ; $(CC) -o $@ main.o -L. -lf
libf.a: $(filter-out main.o,$(OBJ)) ; ar rcs $@ $^
$(OBJ): all.h
clean: ; rm -f prog *.o *.a
check: prog ; ./prog
EOF
make -s -j2 check
make -s -j2 check
touch f3.c; make -n -j2 | wc -l
sleep 0.01; echo '#error broken' >>f2.c; make -s -j2 2>&1 | grep -c 'broken'; echo "make gave ${PIPESTATUS[0]}"
make clean | cat; ls
