package auditor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/audit/dockerfile"
	"github.com/hardstand/hardstand/audit/workflow"
	"github.com/hardstand/hardstand/internal/cli"
)

func auditDockerfile(ctx context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error) {
	in, err := o.dockerfile(t)
	if err != nil {
		return verdicts{}, err
	}
	opts, err := o.dockerfileOptions(f)
	if err != nil {
		return verdicts{}, err
	}
	var notes []string
	if o.fix.on {
		if in.Data, notes, err = o.fix.apply(ctx, f, o, t, in, opts); err != nil {
			return verdicts{}, err
		}
	}
	res, err := dockerfile.Audit(ctx, in, opts)
	if err != nil {
		return verdicts{}, err
	}
	return verdicts{res.Artifacts, res.Findings, append(notes, res.Notes...)}, nil
}

// dockerfile reads a Dockerfile and finds its context.
func (o *auditOptions) dockerfile(t target) (dockerfile.Input, error) {
	in := dockerfile.Input{Name: t.arg, Data: t.data}
	if in.Data == nil {
		data, err := readLimited(t.path, dockerfile.MaxSize)
		if err != nil {
			return in, err
		}
		in.Data = data
	}
	dir := o.buildContext
	if dir == "" && t.path != "" {
		dir = contextDir(t, in.Data)
	}
	if dir == "" || o.noContext {
		return in, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return in, fmt.Errorf("read build context: %w", err)
	}
	// The context is read before the process ends, which closes the root.
	in.Context, in.ContextName = root.FS(), reportName(dir)
	if t.path != "" {
		if rel, err := filepath.Rel(dir, t.path); err == nil && fs.ValidPath(filepath.ToSlash(rel)) {
			in.IgnoreFile = filepath.ToSlash(rel) + ".dockerignore"
		}
	}
	return in, nil
}

// contextDir guesses the context of a Dockerfile: its own directory, or inside
// a repository the nearest one above in which more of its sources lie.
func contextDir(t target, data []byte) string {
	own := filepath.Dir(t.path)
	if t.root == "" {
		return own
	}
	sources := dockerfile.Sources(data)
	best, most := own, count(own, sources)
	for dir := own; dir != t.root && dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		if n := count(dir, sources); n > most {
			best, most = dir, n
		}
	}
	return best
}

func count(dir string, sources []string) int {
	n := 0
	for _, s := range sources {
		if s == "" || strings.ContainsAny(s, "*?[$") {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(s))); err == nil {
			n++
		}
	}
	return n
}

func (o *auditOptions) dockerfileOptions(f *cli.Frame) (dockerfile.Options, error) {
	opts := dockerfile.Options{
		Target: o.settings.Target, Trusted: o.settings.Trusted, Minimal: o.settings.Minimal, NoPragmas: o.settings.NoPragmas,
		Now: f.Now(), Args: map[string]string{},
	}
	if len(o.image.keys) > 0 || o.image.identity != "" {
		opts.Verify = o.image.verifier(f)
	}
	for _, arg := range o.buildArgs {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			value = f.Getenv(name)
		}
		if name == "" {
			return opts, cli.Usagef("--build-arg %s: write NAME=VALUE", arg)
		}
		opts.Args[name] = value
	}
	return opts, nil
}

func auditWorkflow(_ context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error) {
	data := t.data
	if data == nil {
		var err error
		if data, err = readLimited(t.path, workflow.MaxSize); err != nil {
			return verdicts{}, err
		}
	}
	res, err := workflow.Audit(workflow.Input{Name: t.arg, Data: data, Scheduled: o.scheduled}, workflow.Options{Now: f.Now()})
	if err != nil {
		return verdicts{}, err
	}
	v := verdicts{findings: res.Findings, notes: res.Notes}
	v.artifacts = append(v.artifacts, res.Artifact)
	return v, nil
}
