// Command webserver is an HTTP server on port 80: /hello says hello, and /together answers
// when as many requests as its argument says are waiting for an answer, each with how many
// have been answered so before.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: webserver NUMBER")
	}
	number, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var mu sync.Mutex
	waiting, answered, gate := 0, 0, make(chan struct{})
	http.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	http.HandleFunc("/together", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		mine := gate
		if waiting++; waiting == number {
			waiting, gate = 0, make(chan struct{})
			close(mine)
		}
		mu.Unlock()
		<-mine
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, answered)
		answered++
	})
	log.Fatal(http.ListenAndServe(":80", nil))
}
