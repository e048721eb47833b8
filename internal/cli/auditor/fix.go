package auditor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/audit/dockerfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// fixOptions say what is repaired.
type fixOptions struct {
	on      bool
	resolve bool
	dryRun  bool
	tags    tags
}

func (o *fixOptions) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.on, "fix", false, "repair Dockerfiles where that is mechanical, print the changes, and judge the result")
	flags.BoolVar(&o.resolve, "resolve", false, "with --fix: ask registries for the digests of tags and write them down")
	flags.BoolVar(&o.dryRun, "dry-run", false, "with --fix: print the changes and write nothing")
}

// resolveTimeout bounds one question to a registry.
const resolveTimeout = 30 * time.Second

// tags remembers what registries said about tags in this run: files of one
// repository name the same images, and a registry that was silent once is not
// waited for again.
type tags struct {
	timeout time.Duration // of one question; 0: resolveTimeout
	known   map[string]string
	silent  map[string]error // by registry
}

// resolve asks the registry which content a tag means now.
func (t *tags) resolve(ctx context.Context, reference string) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	registry := ref.Context().RegistryStr()
	if err := t.silent[registry]; err != nil {
		return "", err
	}
	if digest, ok := t.known[ref.Name()]; ok {
		return digest, nil
	}
	asked, cancel := context.WithTimeout(ctx, cmp.Or(t.timeout, resolveTimeout))
	defer cancel()
	desc, err := remote.Head(ref, remote.WithContext(asked), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	switch {
	case err != nil && asked.Err() != nil && ctx.Err() == nil:
		err = fmt.Errorf("%s did not answer within %v", registry, cmp.Or(t.timeout, resolveTimeout))
		if t.silent == nil {
			t.silent = map[string]error{}
		}
		t.silent[registry] = err
		return "", err
	case err != nil:
		return "", err
	}
	if t.known == nil {
		t.known = map[string]string{}
	}
	t.known[ref.Name()] = desc.Digest.String()
	return t.known[ref.Name()], nil
}

// apply repairs one Dockerfile, prints the difference, and returns the new
// text.
func (o *fixOptions) apply(ctx context.Context, f *cli.Frame, all *auditOptions, t target, in dockerfile.Input, opts dockerfile.Options) ([]byte, []string, error) {
	fo := dockerfile.FixOptions{Options: opts}
	if o.resolve {
		fo.Resolve = o.tags.resolve
	}
	fixed, err := dockerfile.Fix(ctx, in, fo)
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	for _, s := range fixed.Skipped {
		notes = append(notes, t.arg+": not fixed: "+s)
	}
	if bytes.Equal(fixed.Data, in.Data) {
		return in.Data, notes, nil
	}
	out := f.Stdout
	if all.format != "text" {
		out = f.Stderr
	}
	if _, err := io.WriteString(out, cli.Printable(string(diff.Diff(t.arg, in.Data, t.arg+" (fixed)", fixed.Data)))); err != nil {
		return nil, nil, fmt.Errorf("print changes: %w", err)
	}
	if o.dryRun || t.path == "" {
		return fixed.Data, notes, nil
	}
	if err := replace(t.path, in.Data, fixed.Data); err != nil {
		return nil, nil, fmt.Errorf("write %s: %w", t.path, err)
	}
	return fixed.Data, notes, nil
}

// replace writes a file anew with its mode, behind a symbolic link too, and
// refuses if it has changed since it was read.
func replace(path string, old, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	now, err := readLimited(path, dockerfile.MaxSize)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, old) {
		return errors.New("the file has changed meanwhile; run the command again")
	}
	return writeAs(path, data, info)
}
