//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":        "alarms",
		"github.com/hardstand/hardstand/canary/internal/...": "configuration block, /proc and the collector's protocol",
	})
}

// verdict runs the filter as the kernel would.
func verdict(t *testing.T, arch, number uint32) uint32 {
	t.Helper()
	f := filter()
	var a uint32
	for pc := 0; pc < len(f); pc++ {
		switch i := f[pc]; i.code {
		case loadWord:
			a = map[uint32]uint32{offsetNumber: number, offsetArch: arch}[i.k]
		case jumpEqual:
			if a == i.k {
				pc += int(i.jt)
			} else {
				pc += int(i.jf)
			}
		case returnConstant:
			return i.k
		}
	}
	t.Fatal("the filter runs off its end")
	return 0
}

func TestFilter(t *testing.T) {
	const otherArch = 0x40000003
	for name, c := range map[string]struct {
		arch, number uint32
		want         uint32
	}{
		"execve":        {nativeArch, nativeExec, returnNotify},
		"execveat":      {nativeArch, nativeExecAt, returnNotify},
		"x32 execve":    {nativeArch, x32Exec, returnNotify},
		"x32 execveat":  {nativeArch, x32At, returnNotify},
		"32-bit execve": {otherArch, otherExec, returnNotify},
		"32-bit at":     {otherArch, otherExecAt, returnNotify},
		"read":          {nativeArch, 0, returnAllow},
		"native 11":     {nativeArch, otherExec, returnAllow},
		"32-bit 59":     {otherArch, 59, returnAllow},
	} {
		if got := verdict(t, c.arch, c.number); got != c.want {
			t.Errorf("%s: %#x, want %#x", name, got, c.want)
		}
	}
}

func TestFloodIsSwallowedAndCounted(t *testing.T) {
	a := newAlarms(config.Config{})
	allowed := 0
	for range 10_000 {
		if a.allowed() {
			allowed++
		}
	}
	if allowed < burst || allowed > burst+5 {
		t.Errorf("%d of 10000 lines", allowed)
	}
	if n := a.takeSwallowed(); n != uint64(10_000-allowed) {
		t.Errorf("%d swallowed", n)
	}
	a.filled = time.Now().Add(-refill)
	if !a.allowed() {
		t.Error("silent a second later")
	}
}

func TestRelayTakesOnlyWhatAKeyHasSigned(t *testing.T) {
	key := alert.KeyFromBytes([32]byte{1})
	a := newAlarms(config.Config{Build: "b1", Collector: "https://c/", Decoys: []config.Decoy{{Name: "ls", Key: key.Bytes()}, {Name: alert.Guard}}})
	event := alert.Event{Build: "b1", Decoy: "ls", Latch: alert.LatchUnproven}
	offer := func(nonce byte, e alert.Event, k alert.Key) int {
		e.Nonce = alert.Nonce{nonce}
		a.accept(k.Seal(e, 0))
		return len(a.spool)
	}
	if n := offer(1, event, key); n != 1 {
		t.Fatalf("a genuine alarm: %d in the spool", n)
	}
	if n := offer(1, event, key); n != 1 {
		t.Error("a replayed alarm was taken")
	}
	a.readable = true
	told := event
	told.Latch = alert.LatchSet
	if n := offer(2, told, key); n != 1 {
		t.Error("an alarm that reached the log itself was repeated")
	}
	a.mu.Lock()
	a.forged = 2 // neither 3 nor 5 is reported
	a.mu.Unlock()
	if n := offer(3, event, alert.KeyFromBytes([32]byte{2})); n != 1 || a.forged != 3 {
		t.Error("a forged alarm was taken")
	}
	a.forged = 4
	spliced := event
	spliced.Build = "b2"
	if n := offer(4, spliced, key); n != 1 || a.forged != 5 {
		t.Error("another image's alarm was taken")
	}
}

func TestSpoolDropsTheOldest(t *testing.T) {
	a := newAlarms(config.Config{Collector: "https://c/"})
	for i := range spoolSize + 2 {
		a.queue([]byte{byte(i), byte(i >> 8)})
	}
	if len(a.spool) != spoolSize || a.oldest()[0] != 2 {
		t.Errorf("%d lines, first %v", len(a.spool), a.oldest())
	}
	second := a.spool[1]
	a.sent(a.oldest())
	if &a.oldest()[0] != &second[0] {
		t.Error("the sent line is still there")
	}
}
