// Package healthotel reports a health registry through OpenTelemetry metrics.
//
// It is a module of its own, so that app/health does not require OpenTelemetry.
// It uses the API alone; exporting is for the program's SDK.
package healthotel

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/hardstand/hardstand/app/health"
)

// scope names the instruments' origin.
const scope = "github.com/hardstand/hardstand/app/healthotel"

// Options are the settings of Register. The zero value reports
// health.DefaultRegistry, as it is at the time of a collection, to OpenTelemetry's
// global meter provider.
type Options struct {
	Registry *health.Registry
	Provider metric.MeterProvider
}

// instruments of Register, by name:
//
//	health.group.up             1 unless the group fails; attribute health.group
//	health.check.up             1 when the check passes or warns; health.check
//	health.check.state          1 for the state the check is in, else 0;
//	                            health.check, health.state
//	health.check.failures       failed runs in a row
//	health.check.duration       seconds of the last finished run
//	health.check.running        seconds so far of the run in progress
//	health.check.age            seconds since the last finished run
//	health.check.runs           finished runs; health.outcome is ok or failed
type instruments struct {
	group, up, state, failures metric.Int64ObservableGauge
	duration, running, age     metric.Float64ObservableGauge
	runs                       metric.Int64ObservableCounter
}

// Register reports the registry at every collection, from its latest results: a
// collection runs no check. Close the result to stop.
func Register(o Options) (metric.Registration, error) {
	provider := o.Provider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope)
	in, err := create(meter)
	if err != nil {
		return nil, fmt.Errorf("create health instruments: %w", err)
	}
	observe := func(_ context.Context, to metric.Observer) error {
		in.observe(to, o.Registry)
		return nil
	}
	reg, err := meter.RegisterCallback(observe, in.group, in.up, in.state, in.failures, in.duration, in.running, in.age, in.runs)
	if err != nil {
		return nil, fmt.Errorf("register health metrics: %w", err)
	}
	return reg, nil
}

func create(m metric.Meter) (*instruments, error) {
	var failed error
	count := func(name, description string) metric.Int64ObservableGauge {
		g, err := m.Int64ObservableGauge(name, metric.WithDescription(description), metric.WithUnit("1"))
		if err != nil && failed == nil {
			failed = err
		}
		return g
	}
	seconds := func(name, description string) metric.Float64ObservableGauge {
		g, err := m.Float64ObservableGauge(name, metric.WithDescription(description), metric.WithUnit("s"))
		if err != nil && failed == nil {
			failed = err
		}
		return g
	}
	in := &instruments{
		group:    count("health.group.up", "Whether the group of checks is not failing."),
		up:       count("health.check.up", "Whether the check passes or only warns."),
		state:    count("health.check.state", "The state the check is in."),
		failures: count("health.check.failures", "Failed runs in a row."),
		duration: seconds("health.check.duration", "Duration of the last finished run."),
		running:  seconds("health.check.running", "Duration so far of the run in progress."),
		age:      seconds("health.check.age", "Time since the last finished run."),
	}
	runs, err := m.Int64ObservableCounter("health.check.runs", metric.WithDescription("Finished runs."), metric.WithUnit("{run}"))
	if err != nil && failed == nil {
		failed = err
	}
	in.runs = runs
	return in, failed
}

var states = []health.State{health.Pending, health.Pass, health.Warn, health.Fail, health.Hung, health.Stale}

func (in *instruments) observe(to metric.Observer, r *health.Registry) {
	for _, g := range []health.Group{health.Live, health.Ready, health.Startup} {
		snap := r.Latest(g)
		to.ObserveInt64(in.group, truth(snap.State != health.Fail), metric.WithAttributes(attribute.String("health.group", g.String())))
	}
	snap := r.Latest(health.Any)
	for i := range snap.Checks {
		n := &snap.Checks[i]
		name := attribute.String("health.check", n.Name)
		with := metric.WithAttributeSet(attribute.NewSet(name))
		to.ObserveInt64(in.up, truth(n.State == health.Pass || n.State == health.Warn), with)
		to.ObserveInt64(in.failures, int64(n.Failures), with)
		to.ObserveFloat64(in.running, n.Running.Seconds(), with)
		if n.Runs > 0 {
			to.ObserveFloat64(in.duration, n.Took.Seconds(), with)
			to.ObserveFloat64(in.age, snap.Time.Sub(n.LastRun).Seconds(), with)
		}
		to.ObserveInt64(in.runs, int64(n.Runs-n.Failed), metric.WithAttributes(name, attribute.String("health.outcome", "ok")))
		to.ObserveInt64(in.runs, int64(n.Failed), metric.WithAttributes(name, attribute.String("health.outcome", "failed")))
		for _, s := range states {
			to.ObserveInt64(in.state, truth(s == n.State), metric.WithAttributes(name, attribute.String("health.state", s.String())))
		}
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
