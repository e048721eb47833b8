package health

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const typeMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// metric is a family of OpenMetrics 1.0 with a value a check. A family without a
// value for a check leaves it out.
type metric struct {
	name, kind, unit, help string
	value                  func(*Named) (v float64, ok bool)
}

var metrics = []metric{
	{"health_check_up", "gauge", "", "Whether the check passes or only warns.", func(n *Named) (float64, bool) {
		return truth(n.State == Pass || n.State == Warn), true
	}},
	{"health_check_failures", "gauge", "", "Failed runs in a row.", func(n *Named) (float64, bool) {
		return float64(n.Failures), true
	}},
	{"health_check_duration_seconds", "gauge", "seconds", "Duration of the last finished run.", func(n *Named) (float64, bool) {
		return n.Took.Seconds(), n.Runs > 0
	}},
	{"health_check_running_seconds", "gauge", "seconds", "Duration so far of the run in progress.", func(n *Named) (float64, bool) {
		return n.Running.Seconds(), true
	}},
	{"health_check_last_run_timestamp_seconds", "gauge", "seconds", "When the last finished run ended.", func(n *Named) (float64, bool) {
		return unix(n.LastRun), !n.LastRun.IsZero()
	}},
	{"health_check_last_success_timestamp_seconds", "gauge", "seconds", "When a run last succeeded.", func(n *Named) (float64, bool) {
		return unix(n.LastOK), !n.LastOK.IsZero()
	}},
	{"health_check_runs", "counter", "", "Finished runs.", func(n *Named) (float64, bool) {
		return float64(n.Runs), true
	}},
	{"health_check_runs_failed", "counter", "", "Finished runs that failed.", func(n *Named) (float64, bool) {
		return float64(n.Failed), true
	}},
}

// WriteMetrics writes the latest results in the OpenMetrics 1.0 text format. It
// runs no check.
func (r *Registry) WriteMetrics(w io.Writer) error {
	r = r.or()
	var b bytes.Buffer
	snap := r.snapshot(Any)
	for i := range metrics {
		metrics[i].write(&b, snap.Checks)
	}
	header(&b, "health_check_state", "stateset", "", "State of the check.")
	for i := range snap.Checks {
		n := &snap.Checks[i]
		for s, name := range stateNames {
			fmt.Fprintf(&b, "health_check_state{check=\"%s\",health_check_state=\"%s\"} %v\n",
				label(n.Name), name, truth(State(s) == n.State))
		}
	}
	header(&b, "health_group_up", "gauge", "", "Whether the group is not failing.")
	for _, g := range []Group{Live, Ready, Startup} {
		fmt.Fprintf(&b, "health_group_up{group=\"%s\"} %v\n", g, truth(r.snapshot(g).State != Fail))
	}
	b.WriteString("# EOF\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write health metrics: %w", err)
	}
	return nil
}

func (m *metric) write(b *bytes.Buffer, checks []Named) {
	header(b, m.name, m.kind, m.unit, m.help)
	suffix := ""
	if m.kind == "counter" {
		suffix = "_total"
	}
	for i := range checks {
		if v, ok := m.value(&checks[i]); ok {
			fmt.Fprintf(b, "%s%s{check=\"%s\"} %v\n", m.name, suffix, label(checks[i].Name), v)
		}
	}
}

func header(b *bytes.Buffer, name, kind, unit, help string) {
	fmt.Fprintf(b, "# TYPE %s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(b, "# UNIT %s %s\n", name, unit)
	}
	fmt.Fprintf(b, "# HELP %s %s\n", name, help)
}

var labelEscaper = strings.NewReplacer("\\", `\\`, "\"", `\"`, "\n", `\n`)

func label(s string) string { return labelEscaper.Replace(strings.ToValidUTF8(s, "�")) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// MetricsHandler serves WriteMetrics. It discloses the names of the checks.
func (r *Registry) MetricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", typeMetrics)
		_ = r.WriteMetrics(w) // the client is gone; there is nobody to tell
	})
}
