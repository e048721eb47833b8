// Command pidone is an application for tests. Without arguments it is PID 1:
// it serves HTTP on loopback, and /exec runs a program as an intruder in the
// application would. "pidone get PATH" asks the one that serves; "pidone read
// FILE" copies a file to standard output; "pidone loop N PROGRAM" executes a
// program so often.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
)

const address = "127.0.0.1:8080"

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "get":
		err = get(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "read":
		err = read(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "loop":
		err = loop(os.Args[2], os.Args[3])
	default:
		err = serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func get(path string) error {
	response, err := http.Get("http://" + address + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func read(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(os.Stdout, file)
	return err
}

func loop(times, program string) error {
	n, err := strconv.Atoi(times)
	for range n {
		_ = exec.Command(program).Run() // decoys fail by design
	}
	return err
}

func serve() error {
	fmt.Println("application started")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/exec", func(w http.ResponseWriter, r *http.Request) {
		argv := r.URL.Query()["a"]
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		fmt.Fprintf(w, "%s%v\n", out, err)
	})
	return http.Serve(listener, mux)
}
