// Command collector measures the collector and checks its promises: throughput
// beside forgeries, a burst, crashes, idle connections and a million forgeries.
// The server is bin/hardstand-collector in a process of its own; clients and
// the database server share its cores. It prints a table, writes
// out/bench/collector.json, and returns 1 when a gate is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

type options struct {
	bin      string
	sqlite   bool
	postgres bool
	length   time.Duration
	conns    int
	rate     int
	burst    int
	kills    int
	alarms   int
	shared   int
	forged   int
	out      string
	only     string
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/hardstand-collector", "the `program`")
	flag.BoolVar(&o.sqlite, "sqlite", true, "measure with SQLite")
	flag.BoolVar(&o.postgres, "postgres", true, "also measure with PostgreSQL")
	flag.DurationVar(&o.length, "length", 20*time.Second, "of the throughput run")
	flag.IntVar(&o.conns, "conns", 128, "connections of the genuine clients; as many forge")
	flag.IntVar(&o.rate, "rate", 0, "alarms a second that are offered in the throughput run; 0: as many as it takes")
	flag.IntVar(&o.burst, "burst", 20_000, "alarms a second of the burst, for ten seconds")
	flag.IntVar(&o.kills, "kills", 100, "kill -9 in the crash run, at least")
	flag.IntVar(&o.alarms, "alarms", 1_000_000, "alarms in the crash run with SQLite, at least")
	flag.IntVar(&o.shared, "alarms-postgres", 250_000, "alarms in the crash run with PostgreSQL, at least")
	flag.IntVar(&o.forged, "forgeries", 1_000_000, "forgeries of the forgery run")
	flag.StringVar(&o.out, "out", "out/bench", "`directory` for collector.json")
	flag.StringVar(&o.only, "only", "", "throughput, burst, crash, idle or forgery")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	r := &report{}
	for _, part := range []struct {
		name string
		run  func(context.Context, options, bool, *report) error
	}{{"throughput", throughput}, {"burst", burst}, {"crash", crash}, {"idle", idle}, {"forgery", forgery}} {
		if o.only != "" && o.only != part.name {
			continue
		}
		for _, postgres := range []bool{false, true} {
			if postgres && !o.postgres || !postgres && !o.sqlite {
				continue
			}
			if postgres && part.name == "forgery" {
				continue // what is refused never reaches the store
			}
			if err := part.run(ctx, o, postgres, r); err != nil {
				return fmt.Errorf("%s, %s: %w", part.name, storeName(postgres), err)
			}
		}
	}
	if err := errors.Join(r.print(os.Stdout), r.write(o.out)); err != nil {
		return err
	}
	return r.holds()
}
