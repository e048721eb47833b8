package composer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
)

// Options are the flags that build, wrap and publish share.
type Options struct {
	archiveOptions
	freshOptions
	platforms []string
	locked    bool
	CanaryKey string
	noCanary  bool
	canary    canaryOptions
	register  string
	rehash    bool

	layers      int
	compression string
	Quiet       bool

	components map[spec.Platform][]sbom.Component // of a wrapped program
	cache      *cache.Cache                       // opened by the first composition
	shared     *build.Shared                      // of the images of one command
}

// Flags adds the flags to a command.
func (o *Options) Flags(flags *pflag.FlagSet) {
	o.archiveOptions.flags(flags)
	o.freshOptions.flags(flags, "refuse an image for whose packages the security suite has updates; asks the archive")
	flags.StringSliceVar(&o.platforms, "platform", nil, "`platforms` to build, such as linux/amd64,linux/arm64 (default: all of the definition)")
	flags.BoolVar(&o.locked, "locked", false, "fail rather than resolve anything that the lock does not pin")
	flags.StringVar(&o.CanaryKey, "canary-key", "", "`file` with the canary master secret (default: canary.key in the configuration directory, made on first use)")
	flags.BoolVar(&o.noCanary, "no-canary", false, "leave the decoys out")
	o.canary.flags(flags)
	flags.StringVar(&o.register, "register", "", "`directory` for the decoy registers (default: registers in the state directory)")
	flags.IntVar(&o.layers, "layers", 0, "most `layers` of an image; 1 makes a single one (default: the definition's, else 4)")
	flags.StringVar(&o.compression, "compression", "", "`gzip` or zstd (default: the definition's, else gzip)")
	flags.BoolVar(&o.rehash, "rehash", false, "hash every byte taken from the cache again, also what has not changed since")
	flags.BoolVarP(&o.Quiet, "quiet", "q", false, "no progress")
}

// Share lets the compositions that follow use what others of them made.
func (o *Options) Share() { o.shared = &build.Shared{} }

// Compose builds the images of a source.
func (o *Options) Compose(ctx context.Context, f *cli.Frame, s *Source, format oci.Format, extra map[spec.Platform][]rootfs.Content) (*build.Result, error) {
	platforms, err := parsePlatforms(o.platforms)
	if err != nil {
		return nil, err
	}
	created, err := epoch(f)
	if err != nil {
		return nil, err
	}
	if err := o.freshOptions.check(); err != nil {
		return nil, err
	}
	if err := o.openFrom(ctx, s); err != nil {
		return nil, err
	}
	if o.cache == nil {
		if o.cache, err = openCache(f); err != nil {
			return nil, err
		}
	}
	c := o.cache
	s.vendored = o.vendored(f)
	d := s.Definition
	if o.noCanary {
		if d.Canary != nil && d.Bare && d.Probe == nil && len(d.Files)+len(d.Links) == 0 && extra == nil {
			return nil, cli.Usagef("%s is nothing but decoys: --no-canary would leave an empty image", d.Name)
		}
		d.Canary = nil
	}
	if err := o.layering(d, format); err != nil {
		return nil, err
	}
	if err := o.canary.apply(d); err != nil {
		return nil, err
	}
	opts := build.Options{Cache: c, Platforms: platforms, Format: format, Created: created, FilesFor: extra, ComponentsFor: o.components, Version: f.Version, Program: running(), Base: s.base, Debs: s.debs(), Rehash: o.rehash, Shared: o.shared, Begin: f.Heavy}
	if opts.Files, opts.Components, err = s.localFiles(); err != nil {
		return nil, err
	}
	if d.Canary != nil {
		if opts.Canary, err = o.CanaryMaster(f); err != nil {
			return nil, err
		}
	}
	progress := f.NewProgress("composing "+d.Name, o.Quiet)
	defer progress.Stop()
	opts.Progress = func(s build.Step) {
		progress.Label("composing %s for %s: %d of %d %s", d.Name, s.Platform, s.Done, s.Total, s.What)
	}
	if opts.Archive, err = o.open(f, c, d, progress); err != nil {
		return nil, err
	}
	lock, err := s.ready(ctx, f, opts.Archive, c, &o.archiveOptions, o.locked, platforms)
	if err != nil {
		return nil, err
	}
	if err := o.checkFresh(ctx, f, s, opts.Archive, c, lock, platforms); err != nil {
		return nil, err
	}
	r, err := build.Assemble(ctx, d, lock, opts)
	if err != nil && errors.Is(err, apt.ErrGone) && !o.locked && !o.offline && ctx.Err() == nil {
		progress.Stop()
		f.Note("a locked package is gone from the mirror, resolving afresh: %v", err)
		if lock, err = s.resolve(ctx, opts.Archive, c, &o.archiveOptions, platforms); err == nil {
			err = o.checkFresh(ctx, f, s, opts.Archive, c, lock, platforms)
		}
		if err == nil {
			r, err = build.Assemble(ctx, d, lock, opts)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.PruneSometimes(cache.DefaultMaxBytes); err != nil {
		f.Note("%v", err)
	}
	return r, o.saveRegisters(f, d, opts.Canary, r)
}

// layering lets the flags override the definition.
func (o *Options) layering(d *spec.Definition, format oci.Format) error {
	if o.layers < 0 || o.layers > spec.MaxLayers {
		return cli.Usagef("--layers %d: want 1 to %d", o.layers, spec.MaxLayers)
	}
	if o.layers > 0 {
		d.Layers = o.layers
	}
	switch o.compression {
	case "":
	case "gzip":
		d.Compression = ""
	case "zstd":
		d.Compression = "zstd"
	default:
		return cli.Usagef("--compression %q: want gzip or zstd", o.compression)
	}
	if d.Compression == "zstd" && format == oci.Docker {
		return cli.Usagef("the Docker format has no zstd layers: use gzip, or an OCI layout")
	}
	return nil
}

// running identifies the code that runs, by its file: results of other code are
// not recalled.
func running() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}

// CanaryMaster reads the master secret, and makes one on first use where no
// file is named.
func (o *Options) CanaryMaster(f *cli.Frame) (alert.Master, error) {
	file := o.CanaryKey
	if file == "" {
		dir, err := f.ConfigDir()
		if err != nil {
			return alert.Master{}, err
		}
		file = filepath.Join(dir, "canary.key")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			f.Note("making a canary master secret in %s: keep it, alarms are verified with it", file)
			if err := WriteMaster(file); err != nil && !errors.Is(err, fs.ErrExist) { // another build may be first
				return alert.Master{}, err
			}
		}
	}
	return ReadMaster(file)
}

// ReadMaster reads a canary master secret.
func ReadMaster(file string) (alert.Master, error) {
	data, err := ReadLimited(file, 4096)
	if err != nil {
		return alert.Master{}, fmt.Errorf("read canary master secret: %w", err)
	}
	m, err := alert.ParseMaster(data)
	if err != nil {
		return alert.Master{}, fmt.Errorf("read canary master secret %s: %w", file, err)
	}
	return m, nil
}

// WriteMaster makes a secret in a file that did not exist.
func WriteMaster(file string) error {
	text, err := alert.NewMaster().MarshalText()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return atomicfile.Create(file, text, 0o600)
}

// summary is what --json shows of a build.
type summary struct {
	Name   string         `json:"name"`
	Digest string         `json:"digest"`
	Output string         `json:"output,omitempty"`
	Images []imageSummary `json:"images"`
}

type imageSummary struct {
	Platform  string              `json:"platform"`
	Digest    string              `json:"digest"`
	Size      int64               `json:"size"`
	Layers    int                 `json:"layers"`
	Packages  []string            `json:"packages"`
	Build     string              `json:"build,omitempty"`
	Unhandled map[string][]string `json:"unhandledScripts,omitempty"`
	Effects   map[string]string   `json:"effects,omitempty"`
	Notes     []string            `json:"notes,omitempty"`
}

func summarize(name, output string, r *build.Result) (summary, error) {
	digest, err := r.Index.Digest()
	if err != nil {
		return summary{}, err
	}
	s := summary{Name: name, Digest: digest.String(), Output: output}
	for _, img := range r.Images {
		layers, err := img.Image.Layers()
		if err != nil {
			return summary{}, err
		}
		i := imageSummary{Platform: img.Platform.String(), Digest: img.Digest.String(), Size: img.Size, Layers: len(layers), Unhandled: img.Unhandled,
			Effects: img.Effects, Notes: img.Notes}
		for _, p := range img.Packages {
			i.Packages = append(i.Packages, p.Name+"="+p.Version)
		}
		if img.Register != nil {
			i.Build = img.Register.Build
		}
		s.Images = append(s.Images, i)
	}
	return s, nil
}

// print shows a summary to a person.
func (s summary) print(f *cli.Frame) {
	fmt.Fprintf(f.Stdout, "%s %s\n", s.Name, s.Digest)
	for _, i := range s.Images {
		fmt.Fprintf(f.Stdout, "  %-14s %s  %s in %s, %s\n", i.Platform, i.Digest, cli.Size(i.Size), counted(i.Layers, "layer"), counted(len(i.Packages), "package"))
		for _, note := range i.Notes {
			f.Note("%s: %s", i.Platform, note)
		}
		for _, name := range sortedKeys(i.Unhandled) {
			f.Note("%s: scripts of %s were not run: %s", i.Platform, name, strings.Join(i.Unhandled[name], ", "))
		}
	}
	if s.Output != "" {
		fmt.Fprintf(f.Stdout, "  written to %s\n", s.Output)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
