package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// maxAnswer bounds what a companion answers, in bytes, where the question sets
// no other limit.
const maxAnswer = 64 << 20

// Question is what a companion is asked. The zero value of what is optional
// asks with this process's environment, and waits as long as the context does.
type Question struct {
	Executable string // one of the companions beside this one
	Args       []string
	Input      []byte        // on its standard input
	Env        []string      // its whole environment; nil: this process's
	MaxAnswer  int           // bytes; 0: 64 MiB
	Within     time.Duration // after which it is ended; 0: never
}

// Ask runs a command of another executable and returns what it prints and its
// exit code. What it says beside that goes to standard error.
func Ask(ctx context.Context, f *Frame, executable string, args ...string) ([]byte, int, error) {
	return AskQuestion(ctx, f, Question{Executable: executable, Args: args})
}

// AskQuestion is Ask with limits and input.
func AskQuestion(ctx context.Context, f *Frame, q Question) ([]byte, int, error) {
	path, err := sibling(q.Executable)
	if err != nil {
		return nil, 0, err
	}
	if q.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, q.Within, fmt.Errorf("it took more than %s", q.Within))
		defer cancel()
	}
	out := &bounded{limit: q.MaxAnswer}
	if out.limit == 0 {
		out.limit = maxAnswer
	}
	cmd := exec.CommandContext(ctx, path, q.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = bytes.NewReader(q.Input), out, f.Stderr, q.Env
	cmd.Cancel = func() error { // asked first, so that it ends what it started
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 2 * time.Second // then it is killed
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, 0, fmt.Errorf("run %s: %w", q.Executable, context.Cause(ctx))
	}
	if out.over {
		return nil, 0, fmt.Errorf("run %s: it answered more than %d bytes", q.Executable, out.limit)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, 0, fmt.Errorf("run %s: %w", q.Executable, err)
	}
	return out.data.Bytes(), cmd.ProcessState.ExitCode(), nil
}

// bounded refuses what exceeds its limit, and remembers that: whoever wrote
// may still end with any exit code. The buffer is not embedded, because its
// ReadFrom would pass Write by.
type bounded struct {
	data  bytes.Buffer
	limit int
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.data.Len()+len(p) > b.limit {
		b.over = true
		return 0, fmt.Errorf("more than %d bytes", b.limit)
	}
	return b.data.Write(p)
}
