package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// maxAnswer bounds what a companion answers, in bytes.
const maxAnswer = 64 << 20

// Ask runs a command of another executable and returns what it prints and its
// exit code. What it says beside that goes to standard error.
func Ask(ctx context.Context, f *Frame, executable string, args ...string) ([]byte, int, error) {
	return AskWith(ctx, f, executable, nil, args...)
}

// AskWith is Ask with something on the other's standard input.
func AskWith(ctx context.Context, f *Frame, executable string, input []byte, args ...string) ([]byte, int, error) {
	path, err := sibling(executable)
	if err != nil {
		return nil, 0, err
	}
	out := &bounded{}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, f.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, 0, fmt.Errorf("run %s: %w", executable, err)
	}
	return out.Bytes(), cmd.ProcessState.ExitCode(), nil
}

// bounded refuses what exceeds maxAnswer.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, fmt.Errorf("more than %d bytes", maxAnswer)
	}
	return b.Buffer.Write(p)
}
