package database

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/storetest"
)

// BenchmarkCommit is one transaction of 128 alarms of 512 different incidents
// in turn, with each database.
func BenchmarkCommit(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkCommit(b, filepath.Join(b.TempDir(), "collector.db")) })
	b.Run("postgres", func(b *testing.B) {
		p, err := storetest.StartPostgres(b.Context(), true)
		if errors.Is(err, storetest.ErrNoPostgres) {
			b.Skip(err)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = p.Stop() }() // a temporary folder
		location, err := p.Database(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		benchmarkCommit(b, location)
	})
}

func benchmarkCommit(b *testing.B, location string) {
	db, err := Open(b.Context(), location)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() // temporary
	n := 0
	for b.Loop() {
		arrivals := make([]store.Arrival, 128)
		for i := range arrivals {
			n++
			arrivals[i] = arrival(fmt.Sprintf("%032x", n))
			e := arrivals[i].Alarm.Event
			e.PID, e.Container, e.Argv = n, strings.Repeat(string('a'+rune(n/128%4)), 64), []string{"ls", "-la"}
			arrivals[i].Alarm.Decoy = fmt.Sprintf("tool%d", i%128)
			e.Ancestors = []alert.Process{{PID: 1, Comm: "app", Exe: "/app"}}
		}
		if _, err := db.Commit(b.Context(), arrivals, store.Policy{Now: epoch, Regroup: 1 << 40, Sinks: []store.SinkFilter{{Name: "chat"}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/alarm")
}
