// Package outbox delivers: one worker per sink, so that a slow or dead one
// holds up no other. Nothing is given up; a sink that fails is tried again for
// as long as it is configured, and what waits for it stays in the store.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// Sink takes a message, once a call. It may be given the same message again
// after a crash.
type Sink interface {
	Name() string
	Send(context.Context, store.Message) error
}

// Options of an outbox.
type Options struct {
	Store store.Store
	Sinks []Sink
	Link  string // URL of the dashboard; empty: none
	Log   *slog.Logger
	Now   func() time.Time
	// Observe hears of every attempt; may be nil.
	Observe func(sink string, took, waited time.Duration, err error)
	// After returns how long a far side asked to wait; may be nil.
	After func(error) time.Duration

	FirstRetry, LastRetry time.Duration // 1 second and 5 minutes where 0
	Timeout               time.Duration // of one attempt; 15 seconds where 0
}

const (
	atOnce = 16              // messages of one claim
	look   = time.Second     // how often a worker looks for what another collector queued
	spare  = 5 * time.Second // of a lease beyond the attempts it covers, and of notes at the end
)

// Outbox has one worker per sink.
type Outbox struct {
	options Options
	wake    []chan struct{}
}

// New returns an outbox; Run starts it.
func New(o Options) *Outbox {
	if o.FirstRetry == 0 {
		o.FirstRetry = time.Second
	}
	if o.LastRetry == 0 {
		o.LastRetry = 5 * time.Minute
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Outbox{options: o}
	for range o.Sinks {
		b.wake = append(b.wake, make(chan struct{}, 1))
	}
	return b
}

// Wake says that something may be due.
func (b *Outbox) Wake() {
	for _, w := range b.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// Run delivers until ctx ends.
func (b *Outbox) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i, s := range b.options.Sinks {
		wg.Go(func() { b.work(ctx, s, b.wake[i]) })
	}
	wg.Wait()
}

func (b *Outbox) work(ctx context.Context, s Sink, wake <-chan struct{}) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for ctx.Err() == nil {
		if b.deliver(ctx, s) {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick.C:
		}
	}
}

// deliver sends what is due and says whether that was as much as it took. The
// first failure ends the round: what follows would fail the same way, and the
// rest of the lease is short.
func (b *Outbox) deliver(ctx context.Context, s Sink) bool {
	o := b.options
	// The lease is short, because what a collector held when it was killed
	// waits for its end. It covers one attempt begun before its middle.
	claimed := time.Now()
	due, err := o.Store.Claim(ctx, s.Name(), atOnce, 2*o.Timeout+spare, o.Now())
	if err != nil {
		if ctx.Err() == nil {
			o.Log.Error("outbox could not be read", "sink", s.Name(), "error", err)
		}
		return false
	}
	for i, d := range due {
		if time.Since(claimed) > o.Timeout {
			b.release(due[i:])
			return true
		}
		if o.Link != "" {
			d.Message.Link = fmt.Sprintf("%s/incidents/%d", strings.TrimRight(o.Link, "/"), d.Incident)
		}
		if err := b.attempt(ctx, s, d); err != nil {
			b.release(due[i+1:])
			return false
		}
	}
	return len(due) == atOnce
}

// attempt sends one message and writes down what became of it. Its end is
// noted even when the collector is about to end, so that it is not sent twice
// without need.
func (b *Outbox) attempt(ctx context.Context, s Sink, d store.Delivery) error {
	o := b.options
	began := o.Now()
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	err := send(limited, s, d.Message)
	cancel()
	now := o.Now()
	if o.Observe != nil {
		o.Observe(s.Name(), now.Sub(began), now.Sub(d.Queued), err)
	}
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Timeout)
	defer cancel()
	if err == nil {
		if noted := o.Store.Complete(note, d.ID, now); noted != nil {
			o.Log.Error("delivery could not be noted and will be repeated", "sink", s.Name(), "message", d.Message.ID, "error", noted)
			return noted
		}
		return nil
	}
	wait := Backoff(d.Attempts, o.FirstRetry, o.LastRetry)
	if o.After != nil {
		wait = max(wait, o.After(err))
	}
	if ctx.Err() != nil {
		wait = 0 // we ended, not the sink
	}
	o.Log.Warn("sink did not take a message", "sink", s.Name(), "message", d.Message.ID, "attempt", d.Attempts+1, "retry", wait, "error", err)
	if noted := o.Store.Fail(note, d.ID, err.Error(), now.Add(wait), now); noted != nil {
		o.Log.Error("failure could not be noted", "sink", s.Name(), "error", noted)
	}
	return err
}

// release gives claimed deliveries back by letting their lease end at the
// next look; they were not attempted, so nothing is counted.
func (b *Outbox) release(list []store.Delivery) {
	ctx, cancel := context.WithTimeout(context.Background(), spare)
	defer cancel()
	for _, d := range list {
		if err := b.options.Store.Release(ctx, d.ID, b.options.Now().Add(b.options.FirstRetry)); err != nil {
			return // the lease ends by itself
		}
	}
}

// send keeps one sink's panic from ending all of them.
func send(ctx context.Context, s Sink, m store.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("send message: panic: %v", p)
		}
	}()
	return s.Send(ctx, m)
}

// Backoff doubles from first to last and takes off up to half at random, so
// that collectors do not knock at once.
func Backoff(attempts int, first, last time.Duration) time.Duration {
	d := last
	if attempts < 32 && first<<attempts > 0 {
		d = min(first<<attempts, last)
	}
	return d - rand.N(d/2+1)
}
