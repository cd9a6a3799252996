// Command goprog is a static Go program that leans on the runtime: goroutines,
// timers, channels, signals, the network poller, garbage collection.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	goroutines()
	timers()
	signals()
	network()
	files()
	garbage()
	out, err := exec.Command("/bin/sh", "-c", "echo from a child; exit 5").CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
	os.Exit(6)
}

func goroutines() {
	var n atomic.Int64
	var wg sync.WaitGroup
	ch := make(chan int)
	for range 1000 {
		wg.Go(func() {
			for v := range ch {
				n.Add(int64(v))
				runtime.Gosched()
			}
		})
	}
	for i := range 10000 {
		ch <- i
	}
	close(ch)
	wg.Wait()
	fmt.Println("sum", n.Load())
}

func timers() {
	begin := time.Now()
	ticks := 0
	t := time.NewTicker(2 * time.Millisecond)
	for range t.C {
		if ticks++; ticks == 10 {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	e := time.Since(begin)
	fmt.Println("ticks", ticks, ctx.Err(), e >= 30*time.Millisecond)
}

func signals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-c)
	defer func() { fmt.Println("recovered", recover() != nil) }()
	var p *int
	*p = 1
}

func network() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	var wg sync.WaitGroup
	var total atomic.Int64
	for range 8 {
		wg.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				fmt.Println(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for i := range 50 {
				fmt.Fprintf(c, "message %d\n", i)
				s, err := r.ReadString('\n')
				if err != nil {
					fmt.Println(err)
				}
				total.Add(int64(len(s)))
			}
		})
	}
	wg.Wait()
	l.Close()
	fmt.Println("echoed", total.Load())
	c, _ := net.Dial("udp", "127.0.0.1:9")
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	c.Close()
}

func files() {
	d, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(d)
	for i := range 50 {
		os.WriteFile(filepath.Join(d, fmt.Sprint(i)), make([]byte, i*1000), 0o640)
	}
	var size int64
	filepath.Walk(d, func(_ string, fi os.FileInfo, _ error) error {
		if fi.Mode().IsRegular() {
			size += fi.Size()
		}
		return nil
	})
	fmt.Println("size", size)
}

func garbage() {
	var keep [64][]byte
	h := sha256.New()
	for i := range 2000 {
		b := make([]byte, 64<<10)
		b[i%len(b)] = byte(i)
		keep[i%len(keep)] = b
		h.Write(b[:64])
	}
	runtime.GC()
	fmt.Printf("%x\n", h.Sum(nil)[:8])
}
