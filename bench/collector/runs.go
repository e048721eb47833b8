package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func storeName(postgres bool) string {
	if postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

const (
	goalRate    = 5000 // alarms a second
	goalLatency = 200 * time.Millisecond
)

// startAll starts as many collectors as the store can have: two with
// PostgreSQL, one with SQLite.
func (f *field) startAll(ctx context.Context, bin string) (servers []*server, addresses []string, err error) {
	servers = make([]*server, 1)
	if f.postgres != nil {
		servers = make([]*server, 2)
	}
	for i := range servers {
		if servers[i], err = f.start(ctx, bin, ""); err != nil {
			killAll(servers)
			return nil, nil, err
		}
		addresses = append(addresses, servers[i].address)
	}
	return servers, addresses, nil
}

func killAll(servers []*server) {
	for _, s := range servers {
		if s != nil {
			s.kill()
		}
	}
}

// throughput offers genuine and forged alarms at once. With PostgreSQL there
// are two collectors, and after half of the time one of them is killed.
func throughput(ctx context.Context, o options, postgres bool, r *report) error {
	part := "throughput, " + storeName(postgres)
	f, err := newField(ctx, postgres, 1)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }() // a temporary folder
	servers, addresses, err := f.startAll(ctx, o.bin)
	if err != nil {
		return err
	}
	defer killAll(servers)
	k, l := newMaker(f.master), &load{turns: make(chan struct{}, 1<<16)}
	end := time.Now().Add(o.length)
	forging, endForging := context.WithDeadline(ctx, end)
	defer endForging()
	stop := func() bool { return time.Now().After(end) }
	pace := time.Duration(0)
	if o.rate > 0 {
		pace = time.Second * time.Duration(o.conns) / time.Duration(o.rate)
	}
	began, before := time.Now(), f.spent(servers)
	var wg sync.WaitGroup
	for i := range o.conns {
		wg.Go(func() { l.genuine(ctx, addresses, k, i, pace, stop) })
		wg.Go(func() { l.forge(forging, addresses, k, i, pace, stop) })
	}
	if len(servers) > 1 {
		time.Sleep(o.length / 2)
		half := f.spent(servers[1:]) // what it used would go with it
		servers[1].kill()
		before.collectors -= half.collectors
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	rate := int(float64(len(l.acked)) / took)
	r.say(part, "%d durable alarms/s beside %.0f forgeries/s, acknowledged after p50 %v, p99 %v; %d times busy; %s", rate, float64(l.refused)/took,
		l.percentile(0.5).Round(time.Millisecond), l.percentile(0.99).Round(time.Millisecond), l.busy, f.spent(servers).per(before, len(l.acked)))
	r.least(part, "durable alarms a second", goalRate, rate)
	r.least(part, "forgeries a second beside them", rate*9/10, int(float64(l.refused)/took))
	r.within(part, "acknowledged, p99", goalLatency, l.percentile(0.99))
	return f.check(ctx, l, part, r)
}

// check compares what was acknowledged with what is stored.
func (f *field) check(ctx context.Context, l *load, part string, r *report) error {
	stored, err := f.nonces(ctx)
	if err != nil {
		return err
	}
	lost := 0
	for _, n := range l.acked {
		if !stored[n] {
			lost++
		}
	}
	r.say(part, "%d acknowledged, %d stored, %d lost, %d connections broke", len(l.acked), len(stored), lost, l.broken)
	r.none(part, "acknowledged alarms lost", lost)
	r.none(part, "forgeries accepted", l.accepted)
	return nil
}

// burst offers alarms at a fixed rate for ten seconds; what is refused comes
// again until it is taken.
func burst(ctx context.Context, o options, postgres bool, r *report) error {
	part := "burst, " + storeName(postgres)
	f, err := newField(ctx, postgres, 1)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }() // a temporary folder
	servers, addresses, err := f.startAll(ctx, o.bin)
	if err != nil {
		return err
	}
	defer killAll(servers)
	const length, senders = 10 * time.Second, 4096 // more than the collector lets wait
	k, l := newMaker(f.master), &load{}
	var sent atomic.Int64
	total := int64(o.burst) * int64(length/time.Second)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			l.genuine(ctx, addresses, k, i, time.Second*senders/time.Duration(o.burst), func() bool { return sent.Add(1) > total })
		})
	}
	if len(servers) > 1 {
		time.Sleep(length / 2)
		servers[1].kill()
	}
	wg.Wait()
	r.say(part, "%d alarms offered at %d/s, all taken after %v; refused with 429 or 503 and sent again: %d times", len(l.acked), o.burst,
		time.Since(began).Round(100*time.Millisecond), l.busy)
	r.gate(part, "taken of those offered", fmt.Sprint(total), fmt.Sprint(len(l.acked)), int64(len(l.acked)) == total)
	return f.check(ctx, l, part, r)
}

// crash kills the collector again and again while alarms and forgeries come.
// With PostgreSQL there are two, and one of them is killed each time.
func crash(ctx context.Context, o options, postgres bool, r *report) error {
	part := "crash, " + storeName(postgres)
	f, err := newField(ctx, postgres, 2)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }() // a temporary folder
	servers, addresses, err := f.startAll(ctx, o.bin)
	if err != nil {
		return err
	}
	defer func() { killAll(servers) }() // others than now
	k, l := newMaker(f.master), &load{}
	var done atomic.Bool
	stop := func() bool { return done.Load() }
	var wg sync.WaitGroup
	for i := range o.conns {
		wg.Go(func() { l.genuine(ctx, addresses, k, i, 0, stop) })
		if i%8 == 0 {
			wg.Go(func() { l.forge(ctx, addresses, k, i, 20*time.Millisecond, stop) })
		}
	}
	want := int64(o.alarms)
	if postgres {
		want = int64(o.shared)
	}
	began := time.Now()
	kills := 0
	for (kills < o.kills || l.done.Load() < want) && ctx.Err() == nil {
		time.Sleep(200*time.Millisecond + rand.N(time.Second))
		one := kills % len(servers)
		servers[one].kill()
		if servers[one], err = f.start(ctx, o.bin, addresses[one]); err != nil {
			break
		}
		kills++
	}
	done.Store(true)
	wg.Wait()
	if err != nil {
		return err
	}
	r.say(part, "%d kill -9 in %v, %d collectors", kills, time.Since(began).Round(time.Second), len(servers))
	r.least(part, "kill -9", o.kills, kills)
	r.least(part, "alarms acknowledged", int(want), len(l.acked))
	if err := f.check(ctx, l, part, r); err != nil {
		return err
	}
	return f.checkSinks(ctx, part, r)
}

const drainWithin = 3 * time.Minute

// checkSinks waits until the outbox is empty and compares it with what the
// sinks got: everything at least once, under the id it was queued with.
func (f *field) checkSinks(ctx context.Context, part string, r *report) error {
	db, err := f.open()
	if err != nil {
		return err
	}
	defer db.Close() // only read
	for end := time.Now().Add(drainWithin); ; time.Sleep(200 * time.Millisecond) {
		var waiting int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM deliveries WHERE done = 0").Scan(&waiting); err != nil {
			return err
		}
		if waiting == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d messages still wait for their sink", waiting)
		}
	}
	var messages, incidents, told, twice, missing int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(CASE WHEN notified > 0 THEN 1 ELSE 0 END), 0) FROM incidents WHERE kind = 'decoy'").Scan(&incidents, &told); err != nil {
		return err
	}
	for _, h := range f.sinks {
		ids, err := queued(ctx, f, h.name)
		if err != nil {
			return err
		}
		h.mu.Lock()
		for _, id := range ids {
			messages++
			switch h.ids[id] {
			case 0:
				missing++
			case 1:
			default:
				twice++
			}
		}
		if extra := len(h.ids) - len(ids); extra > 0 {
			missing += extra // an id that was never queued is a key that changed
		}
		h.mu.Unlock()
	}
	r.say(part, "%d incidents, %d told; %d messages to %d sinks: %d missing or under another id, %d came more than once", incidents, told, messages, len(f.sinks), missing, twice)
	r.none(part, "incidents no sink was told of", incidents-told)
	r.none(part, "messages missing or under another id", missing)
	return nil
}

func queued(ctx context.Context, f *field, sink string) ([]string, error) {
	db, err := f.open()
	if err != nil {
		return nil, err
	}
	defer db.Close() // only read
	rows, err := db.QueryContext(ctx, "SELECT message FROM deliveries WHERE sink = $1", sink)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	var ids []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(text, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

const (
	idleConnections = 10_000
	dripping        = 500
	idleGoal        = time.Second
)

// idle holds connections that say nothing and some that send a byte now and
// then, and sends alarms beside them.
func idle(ctx context.Context, o options, postgres bool, r *report) error {
	part := "idle, " + storeName(postgres)
	f, err := newField(ctx, postgres, 1)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }() // a temporary folder
	s, err := f.start(ctx, o.bin, "")
	if err != nil {
		return err
	}
	defer s.kill()
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for i := range idleConnections + dripping {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			return fmt.Errorf("connection %d: %w; raise the limit of open files", i, err)
		}
		held = append(held, c)
		if i >= idleConnections {
			if _, err := c.Write([]byte("POST /v1/alerts HTTP/1.1\r\nHost: x\r\n")); err != nil {
				return err
			}
		}
	}
	drip, stopDrip := context.WithCancel(ctx)
	defer stopDrip()
	go func() {
		for n := 0; drip.Err() == nil; n++ {
			_, _ = held[idleConnections+n%dripping].Write([]byte("X")) // it may be closed by now
			time.Sleep(2 * time.Millisecond)
		}
	}()
	k, l := newMaker(f.master), &load{}
	var sent atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			l.genuine(ctx, []string{s.address}, k, i, 16*time.Second/500, func() bool { return sent.Add(1) > 2000 })
		})
	}
	wg.Wait()
	p99 := l.percentile(0.99)
	r.say(part, "%d idle and %d dripping connections; alarms acknowledged after p50 %v, p99 %v", idleConnections, dripping, l.percentile(0.5).Round(time.Millisecond), p99.Round(time.Millisecond))
	r.within(part, "acknowledged beside them, p99", idleGoal, p99)
	return f.check(ctx, l, part, r)
}
