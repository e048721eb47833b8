// Command collector measures the collector: throughput beside forgeries, a
// burst, crashes and forgeries. The server is bin/hardstand-collector in a
// process of its own; the clients share its cores.
package main

import (
	"context"
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
	flag.IntVar(&o.alarms, "alarms", 1_000_000, "alarms in the crash run, at least")
	flag.StringVar(&o.only, "only", "", "throughput, burst, crash or idle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	for _, part := range []struct {
		name string
		run  func(context.Context, options, bool) error
	}{{"throughput", throughput}, {"burst", burst}, {"crash", crash}, {"idle", idle}} {
		if o.only != "" && o.only != part.name {
			continue
		}
		for _, postgres := range []bool{false, true} {
			if postgres && !o.postgres || !postgres && !o.sqlite {
				continue
			}
			if err := part.run(ctx, o, postgres); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
	}
	return nil
}
