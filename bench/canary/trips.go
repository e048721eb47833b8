//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/e2e/canary/stage"
)

const (
	pidOne  = "github.com/hardstand/hardstand/e2e/canary/stage/pidone"
	repeats = 7
	settle  = 1500 * time.Millisecond
)

// trip runs an image, trips a decoy in it, and returns the container and when
// the decoy says it was executed. The caller removes the container.
func (b *bench) trip(ctx context.Context, o decoy.Options, files []decoy.File, changes ...string) (id string, at time.Time, err error) {
	result, err := decoy.Emit(o)
	if err != nil {
		return "", at, err
	}
	const tag = "hardstand-bench-trip"
	if err := b.docker.Import(ctx, tag, append(result.Files, files...), changes...); err != nil {
		return "", at, err
	}
	id, err = b.docker.Run(ctx, append(stage.Hardened("--network=none"), tag)...)
	if err != nil {
		return "", at, err
	}
	time.Sleep(settle)
	if _, err := b.docker.Try(ctx, nil, "exec", id, "/usr/bin/id"); err != nil {
		return id, at, err
	}
	time.Sleep(settle)
	text, err := b.docker.Logs(ctx, id)
	if err != nil {
		return id, at, err
	}
	alarm, err := alert.NewReader(strings.NewReader(text), b.master).Next()
	if err == io.EOF || err == nil && alarm.Verdict != alert.Verified {
		err = fmt.Errorf("no alarm in the log: %s", text)
	}
	return id, alarm.Event.At(), err
}

// times repeats a trip and measures from the alarm to what end returns.
func (b *bench) times(ctx context.Context, o decoy.Options, files []decoy.File, end func(id string) (time.Time, error), changes ...string) ([]time.Duration, error) {
	var took []time.Duration
	for range repeats {
		id, at, err := b.trip(ctx, o, files, changes...)
		var ended time.Time
		if err == nil {
			ended, err = end(id)
		}
		if id != "" {
			_, _ = b.docker.Run(ctx, "rm", "-f", id) // nothing depends on it
		}
		if err != nil {
			return nil, err
		}
		took = append(took, ended.Sub(at))
	}
	return took, nil
}

// health measures from the trip to Docker's unhealthy, at an interval of one
// second.
func (b *bench) health(ctx context.Context) error {
	app, err := stage.GoBuild(ctx, pidOne, "amd64")
	if err != nil {
		return err
	}
	probe, err := stage.GoBuild(ctx, "github.com/hardstand/hardstand/probe", "amd64")
	if err != nil {
		return err
	}
	files := []decoy.File{{Path: "/app", Mode: 0o755, Content: app}, {Path: "/usr/bin/probe", Mode: 0o755, Content: probe}}
	firstFailure := func(id string) (time.Time, error) {
		text, err := b.docker.Run(ctx, "inspect", "-f", `{{.State.Health.Status}}{{range .State.Health.Log}}{{if ne .ExitCode 0}} {{.End.Format "2006-01-02T15:04:05.999999999Z07:00"}}{{end}}{{end}}`, id)
		if err != nil {
			return time.Time{}, err
		}
		f := strings.Fields(text)
		if len(f) < 2 || f[0] != "unhealthy" {
			return time.Time{}, fmt.Errorf("health after a trip: %s", text)
		}
		return time.Parse(time.RFC3339Nano, f[1])
	}
	took, err := b.times(ctx, b.options(decoy.TierBoth), files, firstFailure, `ENTRYPOINT ["/app"]`,
		`HEALTHCHECK --interval=1s --retries=1 CMD ["/usr/bin/probe", "http://127.0.0.1:8080/"]`)
	if err != nil {
		return err
	}
	b.add("trip to unhealthy, interval 1 s, longest of 7", "ms", percentile(took, 100).Seconds()*1e3, 1100)
	return nil
}

// falls measures from the trip to the end of PID 1 under the policy fall.
func (b *bench) falls(ctx context.Context) error {
	app, err := stage.GoBuild(ctx, pidOne, "amd64")
	if err != nil {
		return err
	}
	guard, err := stage.GoBuild(ctx, "github.com/hardstand/hardstand/canary/guard", "amd64", payload.Smaller()...)
	if err != nil {
		return err
	}
	tini, err := os.ReadFile("/usr/bin/tini-static")
	if err != nil {
		return fmt.Errorf("measure falls: %w; install tini", err)
	}
	program := decoy.File{Path: "/app", Mode: 0o755, Content: app}
	for _, c := range []struct {
		name, entrypoint string
		files            []decoy.File
		guard            *decoy.Guard
	}{
		{"Go", `ENTRYPOINT ["/app"]`, []decoy.File{program}, nil},
		{"tini", `ENTRYPOINT ["/init", "--", "/app"]`, []decoy.File{program, {Path: "/init", Mode: 0o755, Content: tini}}, nil},
		{"guard", `ENTRYPOINT ["/usr/bin/tini", "/app"]`, []decoy.File{program}, &decoy.Guard{Binary: guard}},
	} {
		o := b.options(decoy.TierBoth)
		o.OnTrip, o.Guard = alert.TripFall, c.guard
		took, err := b.times(ctx, o, c.files, func(id string) (time.Time, error) {
			text, err := b.docker.Run(ctx, "inspect", "-f", "{{.State.Running}} {{.State.FinishedAt}}", id)
			if err != nil {
				return time.Time{}, err
			}
			running, at, _ := strings.Cut(text, " ")
			if running != "false" {
				return time.Time{}, fmt.Errorf("%s as PID 1 survived the policy fall", c.name)
			}
			return time.Parse(time.RFC3339Nano, at)
		}, c.entrypoint)
		if err != nil {
			return err
		}
		b.add("fall: trip to the end of "+c.name+", p50 of 7", "ms", percentile(took, 50).Seconds()*1e3, 200)
		b.add("fall: trip to the end of "+c.name+", longest", "ms", percentile(took, 100).Seconds()*1e3, 0)
	}
	return nil
}
