# A static Go program with goroutines and timers.
GOMAXPROCS=4 /goprog; echo "gave $?"
