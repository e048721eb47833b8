// Package tracer runs programs below ptrace and notes the numbers of the
// system calls that they make. It is for training runs in a container: it
// needs no capability, no debugger and no other file, and changes nothing that
// the programs do.
package tracer

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxCall is above every number of a 64-bit Linux.
const maxCall = 1024

// Options say what is run.
type Options struct {
	Program  []string
	Check    []string      // run beside the program at each interval; may be empty
	Interval time.Duration // default 3 s
	// Changed gets the numbers, sorted, at the end and every second in which
	// there were new ones: a container may be killed at any time.
	Changed func(numbers []int) error
}

// calls is shared by the tracing threads.
type calls struct {
	mu   sync.Mutex
	seen [maxCall]bool
	n    int
}

func (c *calls) note(n uint64) {
	if n >= maxCall {
		return // what a restarted call leaves behind
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.seen[n] {
		c.seen[n] = true
		c.n++
	}
}

func (c *calls) numbers() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]int, 0, c.n)
	for n, seen := range c.seen {
		if seen {
			list = append(list, n)
		}
	}
	return slices.Clip(list)
}

// Run runs the program to its end, or tells it to stop when the context ends,
// and returns its exit code.
func Run(ctx context.Context, o Options) (int, error) {
	c := &calls{}
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	reported := 0
	var failed error
	wait.Go(func() {
		for pause(ctx, time.Second) {
			if list := c.numbers(); len(list) > reported {
				reported = len(list)
				failed = o.Changed(list)
			}
		}
	})
	if len(o.Check) > 0 {
		interval := o.Interval
		if interval == 0 {
			interval = 3 * time.Second
		}
		wait.Go(func() {
			for pause(ctx, interval) {
				_, _ = c.run(ctx, o.Check, true) // an unhealthy answer is a run too
			}
		})
	}
	code, err := c.run(ctx, o.Program, false)
	stop()
	wait.Wait()
	if err != nil {
		return code, err
	}
	if err := o.Changed(c.numbers()); err != nil {
		return code, err
	}
	return code, failed
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
