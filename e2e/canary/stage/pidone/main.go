// Command pidone is an application for tests: it is PID 1, serves HTTP on a
// loopback port where it may, and sleeps.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	fmt.Println("application started")
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		select {}
	}
	fmt.Fprintln(os.Stderr, http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})))
}
