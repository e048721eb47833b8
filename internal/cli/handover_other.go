//go:build !unix

package cli

import (
	"errors"
	"os"
	"os/exec"
)

// execute runs the other program to its end and ends with its exit code.
func execute(f *Frame, path string, args []string) error {
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f.Stdin, os.Stdout, f.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err == nil {
		os.Exit(ExitDone)
	}
	return err
}
