package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// Companion is an executable beside this one that answers one line for each
// line it reads. It is started by the first question, stays for the next ones,
// and is started again after one that ended it.
type Companion struct {
	Executable string
	Env        []string      // its whole environment; nil: this process's
	MaxAnswer  int           // bytes; 0: 64 MiB
	Within     time.Duration // for an answer, after which it is ended; 0: no limit
	Stderr     io.Writer

	mu      sync.Mutex
	running *conversation
}

type conversation struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Ask sends a request, which holds no end of line, and returns the answer.
func (c *Companion) Ask(ctx context.Context, request []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		if err := c.start(); err != nil {
			return nil, err
		}
	}
	if c.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Within, fmt.Errorf("it took more than %s", c.Within))
		defer cancel()
	}
	answer, err := c.exchange(ctx, request)
	if err != nil {
		c.end(true)
		return nil, fmt.Errorf("ask %s: %w", c.Executable, err)
	}
	return answer, nil
}

// Close ends the executable, if it runs.
func (c *Companion) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(false)
}

func (c *Companion) start() error {
	path, err := sibling(c.Executable)
	if err != nil {
		return err
	}
	cmd := exec.Command(path)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = c.Env, c.Stderr, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", c.Executable, err)
	}
	c.running = &conversation{cmd, in, bufio.NewReader(out)}
	return nil
}

// end waits for the executable, which ends with its input, or is killed.
func (c *Companion) end(kill bool) {
	if c.running == nil {
		return
	}
	_ = c.running.in.Close() // it may be gone already
	if !kill {
		timer := time.AfterFunc(2*time.Second, func() { _ = c.running.cmd.Process.Kill() })
		defer timer.Stop()
	} else {
		_ = c.running.cmd.Process.Kill()
	}
	_ = c.running.cmd.Wait() // what it answered was said before
	c.running = nil
}

// exchange writes a line and reads one. Killing the executable is what ends
// either where ctx does.
func (c *Companion) exchange(ctx context.Context, request []byte) ([]byte, error) {
	var ended atomic.Bool
	process := c.running.cmd.Process
	stop := context.AfterFunc(ctx, func() {
		ended.Store(true)
		_ = process.Kill()
	})
	defer stop()
	answer, err := func() ([]byte, error) {
		if _, err := c.running.in.Write(append(bytes.Clone(request), '\n')); err != nil {
			return nil, err
		}
		return c.line()
	}()
	switch {
	case ended.Load():
		return nil, context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return nil, errors.New("it ended without an answer")
	}
	return answer, err
}

// line reads a line of at most MaxAnswer bytes, without its end.
func (c *Companion) line() ([]byte, error) {
	limit := c.MaxAnswer
	if limit == 0 {
		limit = maxAnswer
	}
	var line []byte
	for {
		part, err := c.running.out.ReadSlice('\n')
		if len(line)+len(part) > limit+1 {
			return nil, fmt.Errorf("more than %d bytes", limit)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
