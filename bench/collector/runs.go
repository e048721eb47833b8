package main

import (
	"context"
	"errors"
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

// throughput offers genuine and forged alarms at once.
func throughput(ctx context.Context, o options, postgres bool) error {
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
	k, l := newMaker(f.master), &load{}
	end := time.Now().Add(o.length)
	stop := func() bool { return time.Now().After(end) }
	pace := time.Duration(0)
	if o.rate > 0 {
		pace = time.Second * time.Duration(o.conns) / time.Duration(o.rate)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range o.conns {
		wg.Go(func() { l.genuine(ctx, []string{s.address}, k, i, pace, stop) })
		wg.Go(func() { l.forge(ctx, s.address, k, pace, stop) })
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	fmt.Printf("throughput, %s: %.0f durable alarms/s beside %.0f forgeries/s; acknowledged after p50 %v, p99 %v; %d times busy; %d forgeries accepted\n",
		storeName(postgres), float64(len(l.acked))/took, float64(l.refused)/took, l.percentile(0.5).Round(time.Millisecond), l.percentile(0.99).Round(time.Millisecond), l.busy, l.accepted)
	return f.check(ctx, l)
}

// check compares what was acknowledged with what is stored.
func (f *field) check(ctx context.Context, l *load) error {
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
	fmt.Printf("    %d acknowledged, %d stored, %d lost, %d connections broke\n", len(l.acked), len(stored), lost, l.broken)
	if lost > 0 || l.accepted > 0 {
		return fmt.Errorf("%d alarms lost, %d forgeries accepted", lost, l.accepted)
	}
	return nil
}

// burst offers alarms at a fixed rate for ten seconds; what is refused comes
// again until it is taken.
func burst(ctx context.Context, o options, postgres bool) error {
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
	const length, senders = 10 * time.Second, 4096 // more than the collector lets wait
	k, l := newMaker(f.master), &load{}
	var sent atomic.Int64
	total := int64(o.burst) * int64(length/time.Second)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			l.genuine(ctx, []string{s.address}, k, i, time.Second*senders/time.Duration(o.burst), func() bool { return sent.Add(1) > total })
		})
	}
	wg.Wait()
	fmt.Printf("burst, %s: %d alarms offered at %d/s, all taken after %v; refused with 429 or 503 and sent again: %d times\n",
		storeName(postgres), len(l.acked), o.burst, time.Since(began).Round(100*time.Millisecond), l.busy)
	return f.check(ctx, l)
}

// crash kills the collector again and again while alarms and forgeries come.
// With PostgreSQL there are two, and one of them is killed each time.
func crash(ctx context.Context, o options, postgres bool) error {
	f, err := newField(ctx, postgres, 2)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }() // a temporary folder
	servers := make([]*server, 1)
	if postgres {
		servers = make([]*server, 2)
	}
	var addresses []string
	for i := range servers {
		if servers[i], err = f.start(ctx, o.bin, ""); err != nil {
			return err
		}
		addresses = append(addresses, servers[i].address)
	}
	defer func() {
		for _, s := range servers {
			s.kill()
		}
	}()
	k, l := newMaker(f.master), &load{}
	var done atomic.Bool
	stop := func() bool { return done.Load() }
	var wg sync.WaitGroup
	for i := range o.conns {
		wg.Go(func() { l.genuine(ctx, addresses, k, i, 0, stop) })
		if i%4 == 0 {
			wg.Go(func() { l.forge(ctx, addresses[i/4%len(addresses)], k, time.Millisecond, stop) })
		}
	}
	began := time.Now()
	kills := 0
	for ; (kills < o.kills || k.seq.Load() < 2*uint64(o.alarms)) && ctx.Err() == nil; kills++ {
		time.Sleep(200*time.Millisecond + rand.N(time.Second))
		one := kills % len(servers)
		servers[one].kill()
		if servers[one], err = f.start(ctx, o.bin, addresses[one]); err != nil {
			break
		}
		if n, countErr := f.count(ctx); countErr == nil && kills >= o.kills && n >= o.alarms {
			kills++
			break
		}
	}
	done.Store(true)
	wg.Wait()
	if err != nil {
		return err
	}
	fmt.Printf("crash, %s: %d kill -9 in %v, %d collectors\n", storeName(postgres), kills, time.Since(began).Round(time.Second), len(servers))
	if err := f.check(ctx, l); err != nil {
		return err
	}
	return f.checkSinks(ctx)
}

func (f *field) count(ctx context.Context) (n int, err error) {
	db, err := f.open()
	if err != nil {
		return 0, err
	}
	defer db.Close() // only read
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM alarms").Scan(&n)
	return n, err
}

const drainWithin = 3 * time.Minute

// checkSinks waits until the outbox is empty and compares it with what the
// sinks got: everything at least once, under the id it was queued with.
func (f *field) checkSinks(ctx context.Context) error {
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
	fmt.Printf("    %d incidents, %d told; %d messages to %d sinks: %d missing or under another id, %d came more than once\n", incidents, told, messages, len(f.sinks), missing, twice)
	if missing > 0 || told != incidents {
		return errors.New("a sink was not told")
	}
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
func idle(ctx context.Context, o options, postgres bool) error {
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
	fmt.Printf("idle, %s: %d idle and %d dripping connections; alarms acknowledged after p50 %v, p99 %v\n", storeName(postgres), idleConnections, dripping,
		l.percentile(0.5).Round(time.Millisecond), p99.Round(time.Millisecond))
	if p99 > idleGoal {
		return fmt.Errorf("p99 %v is over %v", p99, idleGoal)
	}
	return f.check(ctx, l)
}
