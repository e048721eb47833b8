package composer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

type lockOptions struct {
	archiveOptions
	freshOptions
	json    bool
	output  string
	check   bool
	replace bool
	quiet   bool
	vendor  string
}

func lockCommand(f *cli.Frame, from OpenFrom) *cobra.Command {
	var o lockOptions
	o.From = from
	cmd := &cobra.Command{
		Use:   "lock NAME|FILE...",
		Short: "Resolve definitions against the signed archive and write their locks",
		Long: `Resolve definitions against the signed archive and write their locks: which
version of which package, by SHA-256, for every platform. The lock of FILE.yaml
is FILE.lock.json beside it, that of a variant with other packages
FILE-VARIANT.lock.json; that of a built-in image is printed, or written to
--output. What changed is listed.

A suite older than the lock has seen is refused: the mirror was rolled back.

With --vendor, what a build needs is copied, so that it works when the archive has
moved on. Not copied are files of the definition without a sha256, and the image
that it starts from ("from"): builds still need those, and a line names each.

With --fresh, nothing is resolved or written: the signed index of the security
suite, and no other, is asked for updates of what is locked.`,
		Example: `  hardstand lock ./mine.yaml
  hardstand lock --check ./mine.yaml         # exit code 3 when updates are pending
  hardstand lock --fresh ./mine.yaml --grace 48h   # the same for security updates only
  hardstand lock base -o base.lock.json
  hardstand lock ./mine.yaml --vendor debs   # later: hardstand build ./mine.yaml --locked --mirror debs/debian`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return builtin(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.output != "" && len(args) > 1 {
				return cli.Usagef("--output takes one definition, not %d", len(args))
			}
			if err := o.checkFlags(cmd); err != nil {
				return err
			}
			if o.fresh {
				return runFresh(cmd.Context(), f, o, args)
			}
			for _, arg := range args {
				if err := runLocks(cmd.Context(), f, o, arg); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.archiveOptions.flags(cmd.Flags())
	o.freshOptions.flags(cmd.Flags(), "write nothing; exit with 3 when the security suite has updates of what is locked")
	cmd.Flags().BoolVar(&o.json, "json", false, "with --fresh, print what is pending as JSON")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`file` for the lock")
	cmd.Flags().BoolVar(&o.check, "check", false, "write nothing; exit with 3 when the lock would change")
	cmd.Flags().BoolVar(&o.replace, "replace", false, "replace a lock that cannot be read")
	cmd.Flags().StringVar(&o.vendor, "vendor", "", "copy the locked packages, and what stands beside the definition, into this `directory`, for builds when the archive has moved on; a lock that fits is left as it is")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	return cmd
}

// checkFlags refuses flags that contradict each other.
func (o *lockOptions) checkFlags(cmd *cobra.Command) error {
	for _, other := range []string{"check", "vendor", "output", "replace", "offline"} {
		if o.fresh && cmd.Flags().Changed(other) {
			return cli.Usagef("--fresh asks the archive and writes nothing: do without --%s", other)
		}
	}
	if o.json && !o.fresh {
		return cli.Usagef("--json shows what --fresh finds: give both")
	}
	return o.freshOptions.check()
}

// runLocks locks a definition, and of a file also its variants.
func runLocks(ctx context.Context, f *cli.Frame, o lockOptions, arg string) error {
	sources, err := lockedSources(arg, o.output == "")
	if err != nil {
		return err
	}
	for _, s := range sources {
		if err := runLock(ctx, f, o, s); err != nil {
			return err
		}
	}
	return nil
}

// lockedSources finds a definition and, of a file, its variants that have a
// lock of their own.
func lockedSources(arg string, variants bool) ([]*Source, error) {
	all, variant, err := loadFamily(arg)
	if err != nil {
		return nil, err
	}
	names := []string{variant}
	if variant == "" && all.file != "" && variants {
		for _, v := range all.Variants {
			if all.LockName(v.Name) == v.Name { // it shares no other's
				names = append(names, v.Name)
			}
		}
	}
	var list []*Source
	for _, name := range names {
		s, err := all.source(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func runLock(ctx context.Context, f *cli.Frame, o lockOptions, s *Source) error {
	if err := o.openFrom(ctx, s); err != nil {
		return err
	}
	c, err := openCache(f)
	if err != nil {
		return err
	}
	progress := f.NewProgress("reading the archive", o.quiet)
	defer progress.Stop()
	a, err := o.open(f, c, s.Definition, progress)
	if err != nil {
		return err
	}
	s.vendored = o.vendored(f)
	if err := o.previous(f, s); err != nil {
		return err
	}
	if o.vendor != "" && s.Lock != nil && s.Lock.Matches(s.Definition) {
		return vendor(ctx, f, a, o.vendor, s, s.Lock)
	}
	lock, err := build.LockWith(ctx, a, s.Definition, s.lockOptions(c, o.floors(s)))
	if err != nil {
		return err
	}
	progress.Stop()
	changes := lockChanges(s.Lock, lock)
	if s.Lock != nil && !s.Lock.Matches(s.Definition) {
		changes = append(changes, "! the definition has changed")
	}
	for _, line := range changes {
		fmt.Fprintln(f.Stderr, line)
	}
	file := o.output
	if file == "" {
		file = s.lockFile
	}
	switch {
	case o.check && (len(changes) > 0 || s.Lock == nil):
		return &cli.RefusedError{Err: fmt.Errorf("the lock of %s is out of date: %s", s.Definition.Name, counted(len(changes), "change"))}
	case o.check:
		return nil
	case file == "":
		_, err := f.Stdout.Write(lock.Format())
		return err
	}
	if old, err := ReadLimited(file, spec.MaxLock); err == nil && bytes.Equal(old, lock.Format()) {
		f.Note("%s is up to date", file)
	}
	if err := atomicfile.ReplaceBytes(file, lock.Format(), 0o644); err != nil || o.vendor == "" {
		return err
	}
	return vendor(ctx, f, a, o.vendor, s, lock)
}

// previous makes the lock that is about to be replaced the one to compare with
// and not to fall behind.
func (o lockOptions) previous(f *cli.Frame, s *Source) error {
	if o.output != "" {
		data, err := ReadLimited(o.output, spec.MaxLock)
		if err == nil {
			s.Lock, s.lockErr = spec.ParseLock(o.output, data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if s.lockErr == nil {
		return nil
	}
	if !o.replace {
		return fmt.Errorf("%w (--replace makes a new one, without the dates of this one to compare with)", s.lockErr)
	}
	f.Note("replacing a lock that cannot be read: %v", s.lockErr)
	s.Lock, s.lockErr = nil, nil
	return nil
}

// lockChanges lists what differs between two locks, one line each.
func lockChanges(old, new *spec.Lock) []string {
	if old == nil {
		old = &spec.Lock{}
	}
	var lines []string
	if old.From != new.From && old.Platforms != nil {
		lines = append(lines, fmt.Sprintf("~ from %q -> %q", old.From, new.From))
	}
	for _, platform := range slices.Sorted(maps.Keys(union(old.Platforms, new.Platforms))) {
		before, after := byName(old.Platforms[platform]), byName(new.Platforms[platform])
		for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
			b, a := before[name], after[name]
			switch {
			case b == nil:
				lines = append(lines, fmt.Sprintf("+ %s %s %s, for %s", platform, name, a.Version, a.For))
			case a == nil:
				lines = append(lines, fmt.Sprintf("- %s %s %s", platform, name, b.Version))
			case a.Version != b.Version:
				lines = append(lines, fmt.Sprintf("~ %s %s %s -> %s (%s)", platform, name, b.Version, a.Version, a.Suite))
			case a.SHA256 != b.SHA256:
				lines = append(lines, fmt.Sprintf("! %s %s %s has other contents", platform, name, a.Version))
			}
		}
	}
	return lines
}

// counted gives "1 change" or "2 changes".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func byName(packages []*spec.Package) map[string]*spec.Package {
	m := map[string]*spec.Package{}
	for _, p := range packages {
		m[p.Name] = p
	}
	return m
}

func union[V any](a, b map[string]V) map[string]bool {
	m := map[string]bool{}
	for k := range a {
		m[k] = true
	}
	for k := range b {
		m[k] = true
	}
	return m
}
