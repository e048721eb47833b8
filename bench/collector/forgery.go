package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// forger makes alarms that nobody with the key made, or that were heard
// before.
type forger struct {
	k       *maker
	genuine []byte // was taken: a replay may be answered 202, and is not stored again
	stale   []byte // authentic, and older than nonces are kept
	other   alert.Master
	rng     *rand.Rand
}

// ways of forging, each as likely.
var ways = []struct {
	name string
	make func(*forger) []byte
}{
	{"bit flips", func(f *forger) []byte {
		line := bytes.Clone(f.genuine)
		at := f.rng.IntN(len(line) - 1) // the line feed is not part of it
		line[at] ^= 1 << f.rng.IntN(8)
		if code := len(line) - 65; at >= code && bytes.EqualFold(line[code:], f.genuine[code:]) {
			line[at] = '0' + f.genuine[at]&1 ^ 1 // a digit in upper case is the same number
		}
		return line
	}},
	{"wrong key", func(f *forger) []byte {
		_, line := f.k.sealed(f.other.Key)
		return line
	}},
	{"replayed", func(f *forger) []byte { return f.genuine }},
	{"stale", func(f *forger) []byte { return f.stale }},
	{"of another image", func(f *forger) []byte {
		_, line := f.k.sealed(func(build, decoy string) alert.Key { return f.k.master.Key(build+"x", decoy) })
		return line
	}},
	{"truncated", func(f *forger) []byte { return f.genuine[:1+f.rng.IntN(len(f.genuine)-2)] }},
	{"oversized", func(f *forger) []byte { return append(bytes.Repeat([]byte("x"), alert.MaxMessage), f.genuine...) }},
}

// forgery sends forgeries of every kind over HTTP. Only what was genuine
// before may be in the store afterwards.
func forgery(ctx context.Context, o options, postgres bool, r *report) error {
	const part = "forgery"
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
	k := newMaker(f.master)
	nonce, genuine := k.next()
	first := &client{address: s.address}
	defer first.close()
	if status, err := first.post(genuine); err != nil || status != 202 {
		return fmt.Errorf("send the genuine alarm: status %d: %w", status, err)
	}
	var made atomic.Int64
	var mu sync.Mutex
	answers := map[string]map[int]int{}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			one := &forger{k: k, genuine: genuine, stale: k.old(120 * 24 * time.Hour), other: alert.NewMaster(), rng: rand.New(rand.NewPCG(uint64(i), 9))}
			c := &client{address: s.address}
			defer c.close()
			for n := made.Add(1); n <= int64(o.forged) && ctx.Err() == nil; n = made.Add(1) {
				way := ways[n%int64(len(ways))]
				status, err := c.post(way.make(one))
				if err != nil {
					status = 0
				}
				mu.Lock()
				if answers[way.name] == nil {
					answers[way.name] = map[int]int{}
				}
				answers[way.name][status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stored, err := f.nonces(ctx)
	if err != nil {
		return err
	}
	judge(part, r, answers, time.Since(began))
	delete(stored, nonce)
	r.least(part, "forgeries tried", o.forged, int(min(made.Load(), int64(o.forged))))
	r.none(part, "alarms stored but the genuine one", len(stored))
	return nil
}

// judge counts the answers: a replay is answered like the first time, anything
// else that is taken is an accepted forgery.
func judge(part string, r *report, answers map[string]map[int]int, took time.Duration) {
	accepted, unanswered := 0, 0
	var words []string
	for _, way := range ways {
		var statuses []string
		for status, n := range answers[way.name] {
			statuses = append(statuses, fmt.Sprintf("%d ×%d", status, n))
			unanswered += map[bool]int{true: n}[status == 0]
			if status == 202 && way.name != "replayed" {
				accepted += n
			}
		}
		slices.Sort(statuses)
		words = append(words, way.name+" "+strings.Join(statuses, " "))
	}
	r.say(part, "in %v: %s", took.Round(time.Second), strings.Join(words, "; "))
	r.none(part, "forgeries accepted", accepted)
	r.none(part, "requests without an answer", unanswered)
}
