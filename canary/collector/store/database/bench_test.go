package database

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// BenchmarkCommit is one transaction of 512 alarms of 512 different incidents
// in turn.
func BenchmarkCommit(b *testing.B) {
	db, err := Open(b.Context(), filepath.Join(b.TempDir(), "collector.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() // a temporary file
	n := 0
	for b.Loop() {
		arrivals := make([]store.Arrival, 512)
		for i := range arrivals {
			n++
			arrivals[i] = arrival(fmt.Sprintf("%032x", n))
			e := arrivals[i].Alarm.Event
			e.PID, e.Container, e.Argv = n, strings.Repeat(string('a'+rune(i%4)), 64), []string{"ls", "-la"}
			arrivals[i].Alarm.Decoy = fmt.Sprintf("tool%d", i%128)
			e.Ancestors = []alert.Process{{PID: 1, Comm: "app", Exe: "/app"}}
		}
		if _, err := db.Commit(b.Context(), arrivals, store.Policy{Now: epoch, Regroup: 1 << 40, Sinks: []store.SinkFilter{{Name: "chat"}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/alarm")
}
