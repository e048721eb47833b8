// Package collector receives what decoys, credential files and guards send,
// decides what is authentic, and hands it to the store and the outbox. An
// alarm is acknowledged only after it is on disk together with the messages it
// causes.
//
// It must not send messages itself (./outbox does) and knows no sink, no
// dashboard and no command line.
package collector

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hardstand/hardstand/canary/collector/outbox"
	"github.com/hardstand/hardstand/canary/collector/register"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Options configures a collector. Store and Register are required.
type Options struct {
	Store    store.Store
	Register *register.Register
	Sinks    []outbox.Sink
	Filters  map[string]store.SinkFilter // by the sink's name: what it wants; everything where missing
	Link     string                      // URL of the dashboard, for messages; an incident's page is Link/incidents/ID

	Window      time.Duration // 10 minutes where 0: see Verifier
	Retention   store.Retention
	Regroup     time.Duration // 24 hours where 0: see store.Policy
	RepeatAfter time.Duration // 5 minutes where 0
	DeadAfter   time.Duration // 15 minutes where 0: silence of a guard that is an alarm; negative: never
	SinkDown    time.Duration // 2 minutes where 0: failing that is an alarm

	// Share is how many alarms a second one image may send for long, Burst how
	// many at once. What is over is counted and not kept. 50 and 1000 where 0;
	// a negative Share switches it off.
	Share, Burst float64

	IngestToken string // what shippers and Falco must present; empty refuses them
	Zone        string // that decoys resolve names in
	// SinkAfter says how long a sink's error asks to wait; may be nil.
	SinkAfter func(error) time.Duration

	Log        *slog.Logger          // none where nil
	Registerer prometheus.Registerer // none where nil
	Now        func() time.Time      // time.Now where nil
}

// Collector is running from New to Close.
type Collector struct {
	options  Options
	store    store.Store
	verifier *Verifier
	shares   *shares
	outbox   *outbox.Outbox
	metrics  *metrics
	log      *slog.Logger
	now      func() time.Time
	filters  []store.SinkFilter

	reloading sync.Mutex         // guards register
	register  *register.Register // as last read

	queue chan pending
	ended chan struct{} // the committer ended
	beats beats

	stop context.CancelFunc
	done sync.WaitGroup
}

const day = 24 * time.Hour

func (o *Options) fill() error {
	if o.Store == nil || o.Register == nil {
		return errors.New("start collector: store and register are missing")
	}
	standard := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	standard(&o.Window, 10*time.Minute)
	standard(&o.Retention.Alarms, 90*day)
	standard(&o.Retention.Bodies, 7*day)
	standard(&o.Regroup, day)
	standard(&o.RepeatAfter, 5*time.Minute)
	standard(&o.DeadAfter, 15*time.Minute)
	standard(&o.SinkDown, 2*time.Minute)
	if o.Share == 0 {
		o.Share = 50
	}
	if o.Burst == 0 {
		o.Burst = 1000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// New imports the register and starts the workers.
func New(ctx context.Context, o Options) (*Collector, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if err := o.Store.ImportCanaries(ctx, o.Register.Canaries()); err != nil {
		return nil, fmt.Errorf("start collector: %w", err)
	}
	c := &Collector{
		options: o, store: o.Store, register: o.Register, log: o.Log, now: o.Now,
		verifier: &Verifier{Masters: o.Register.Masters(), Window: o.Window, Memory: o.Retention.Alarms},
		shares:   &shares{rate: o.Share, burst: o.Burst, builds: map[string]*share{}},
		queue:    make(chan pending, waiting), ended: make(chan struct{}),
		beats: beats{seen: map[string]time.Time{}, started: o.Now()},
	}
	var names []string
	for _, s := range o.Sinks {
		f := o.Filters[s.Name()]
		f.Name = s.Name()
		names, c.filters = append(names, f.Name), append(c.filters, f)
	}
	if err := o.Store.SetSinks(ctx, names); err != nil {
		return nil, fmt.Errorf("start collector: %w", err)
	}
	c.metrics = newMetrics(o.Registerer, c)
	c.outbox = outbox.New(outbox.Options{Store: o.Store, Sinks: o.Sinks, Link: o.Link, Log: o.Log, Now: o.Now, Observe: c.metrics.sent, After: o.SinkAfter})
	background, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.done.Go(func() { c.commitAll(background) })
	c.done.Go(func() { c.outbox.Run(background) })
	c.done.Go(func() { c.watch(background) })
	return c, nil
}

// Reload takes up a register that was read again: what came, what changed, and
// what is gone. The master secrets stay those of the start.
func (c *Collector) Reload(ctx context.Context, r *register.Register) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	now := map[string]bool{}
	for _, one := range r.Canaries() {
		now[one.Build] = true
	}
	var gone []string
	for _, one := range c.register.Canaries() {
		if !now[one.Build] {
			gone = append(gone, one.Build)
		}
	}
	if err := c.store.ImportCanaries(ctx, r.Canaries()); err != nil {
		return fmt.Errorf("reload register: %w", err)
	}
	if err := c.store.ForgetCanaries(ctx, gone); err != nil {
		return fmt.Errorf("reload register: %w", err)
	}
	c.register = r
	c.log.Info("register was reloaded", "builds", len(now), "gone", len(gone))
	return nil
}

// Close stores what was taken in, ends the workers and leaves the store open.
// What is not delivered yet is delivered after the next start. End all
// listeners first.
func (c *Collector) Close() {
	c.stop()
	c.done.Wait()
	for { // taken in after the committer ended
		select {
		case p := <-c.queue:
			p.done <- result{err: store.ErrClosed}
		default:
			return
		}
	}
}

func (c *Collector) policy(now time.Time) store.Policy {
	return store.Policy{Now: now, Sinks: c.filters, Regroup: c.options.Regroup, RepeatAfter: c.options.RepeatAfter,
		Thresholds: []int64{10, 100, 1000, 10_000, 100_000, 1_000_000}}
}

// Ingest takes what a credential listener saw and returns when it is stored.
func (c *Collector) Ingest(ctx context.Context, o store.Observation) error {
	a, err := fromObservation(o, c.now())
	if err != nil {
		c.metrics.reject(o.Channel, err)
		return err
	}
	_, err = c.take(ctx, a)
	return err
}

// Alarm takes one alarm line as a decoy sends it. The error is a Rejection,
// ErrOverloaded, or says that it could not be stored.
func (c *Collector) Alarm(ctx context.Context, line []byte, channel store.Channel, source string) (store.Outcome, error) {
	c.metrics.receive(channel)
	if len(c.queue) == cap(c.queue) { // said before any work is spent on it
		c.metrics.reject(channel, ErrOverloaded)
		return store.Outcome{}, ErrOverloaded
	}
	a, err := c.verifier.Check(line, c.now())
	if err != nil {
		c.metrics.reject(channel, err)
		return store.Outcome{}, err
	}
	a.Alarm.Channel, a.Alarm.Source = channel, source
	return c.take(ctx, a)
}

// take stores an authentic arrival.
func (c *Collector) take(ctx context.Context, a store.Arrival) (store.Outcome, error) {
	if a.Alarm.Event != nil && a.Alarm.Event.Kind == KindHeartbeat {
		return store.Outcome{}, c.beat(ctx, a.Alarm)
	}
	out, err := c.submit(ctx, a)
	switch {
	case err != nil:
		c.metrics.reject(a.Alarm.Channel, err)
		if !errors.Is(err, ErrOverloaded) && !errors.Is(err, context.Canceled) {
			c.log.Error("alarm could not be stored", "build", a.Alarm.Build, "decoy", a.Alarm.Decoy, "error", err)
		}
		return out, err
	case out.Revoked:
		c.metrics.reject(a.Alarm.Channel, Revoked)
		return out, Revoked
	}
	c.metrics.take(a.Alarm, a.Overflow, out)
	if out.New {
		c.log.Info("incident opened", "incident", out.Incident, "kind", a.Alarm.Kind, "build", a.Alarm.Build, "decoy", a.Alarm.Decoy, "channel", a.Alarm.Channel)
	}
	return out, nil
}

func randomNonce() string {
	var n [16]byte
	_, _ = rand.Read(n[:]) // never fails, crypto/rand
	return hex.EncodeToString(n[:])
}
