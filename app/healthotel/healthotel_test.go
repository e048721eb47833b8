package healthotel_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/healthotel"
)

// collect returns the value of every series as "name attributes".
func collect(t *testing.T, r metric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					out[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					out[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Value
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					out[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	registry := health.New(health.Logger(slog.New(slog.DiscardHandler)))
	runs := 0
	if _, err := registry.Add("asked", func(context.Context) error { runs++; return nil }, health.OnDemand(0)); err != nil {
		t.Fatal(err)
	}
	u := health.NewStatusUpdater()
	u.Update(nil)
	u.Update(errors.New("bad"))
	if _, err := registry.AddChecker("db", u, health.In(health.Live)); err != nil {
		t.Fatal(err)
	}
	reg, err := healthotel.Register(healthotel.Options{Registry: registry, Provider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	got := collect(t, reader)
	for series, want := range map[string]float64{
		"health.group.up health.group=live":                          0,
		"health.group.up health.group=ready":                         0,
		"health.group.up health.group=startup":                       1,
		"health.check.up health.check=db":                            0,
		"health.check.failures health.check=db":                      1,
		"health.check.runs health.check=db,health.outcome=ok":        1,
		"health.check.runs health.check=db,health.outcome=failed":    1,
		"health.check.state health.check=db,health.state=fail":       1,
		"health.check.state health.check=db,health.state=pass":       0,
		"health.check.state health.check=asked,health.state=pending": 1,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", series, v, ok, want)
		}
	}
	if runs != 0 {
		t.Errorf("a collection ran a check %d times", runs)
	}
	if t.Failed() {
		for k := range maps.Keys(got) {
			t.Log(k)
		}
	}
	if err := reg.Unregister(); err != nil {
		t.Error(err)
	}
	if n := len(collect(t, reader)); n != 0 {
		t.Errorf("%d series after Unregister", n)
	}
}
