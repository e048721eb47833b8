package composer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign/keysign"
)

type buildOptions struct {
	Options
	signing  signOptions
	output   string
	sbom     string
	variants bool
	json     bool

	signer *keysign.Key // nil without --key
}

func buildCommand(f *cli.Frame, from OpenFrom) *cobra.Command {
	var o buildOptions
	o.From = from
	cmd := &cobra.Command{
		Use:   "build NAME|FILE...",
		Short: "Compose images from the signed Debian archive",
		Long: `Compose images from the signed Debian archive, without Docker and without root.

The output is one of
  oci:DIR               an OCI layout with every platform (the default, oci:NAME)
  docker-archive:FILE   a file for docker load, one platform, with HEALTHCHECK;
                        "-" writes it to stdout
  docker[:NAME:TAG]     the local Docker engine, one platform, with HEALTHCHECK

Of several images, each becomes the layout DIR/NAME, or hardstand/NAME:latest in
the Docker engine. What they have in common is made once.

The same definition, lock and canary secret give the same bytes on every
machine. SOURCE_DATE_EPOCH sets the creation date; without it, it is that of
the newest file in the image.`,
		Example: `  hardstand build static
  hardstand build base -o oci:base --platform linux/amd64
  hardstand build ./mine.yaml --locked --offline -o docker-archive:mine.tar
  hardstand build base -o oci:base --key hardstand.key
  hardstand build base -o docker:base:dev
  hardstand build static -o docker-archive:- | docker load
  hardstand build static base cc --variants -o oci:layouts`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return builtin(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBuild(cmd.Context(), f, o, args) },
	}
	o.Flags(cmd.Flags())
	o.signing.flags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "where to put the image: oci:DIR, docker-archive:FILE or docker[:NAME:TAG]")
	cmd.Flags().StringVar(&o.sbom, "sbom", "", "`directory` for the SBOMs, SPDX and CycloneDX, of each platform")
	cmd.Flags().BoolVar(&o.variants, "variants", false, "build every variant too: NAME-root, NAME-debug and so on")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON, of several images as a list")
	return cmd
}

func runBuild(ctx context.Context, f *cli.Frame, o buildOptions, args []string) error {
	sources, err := loadSources(args, o.variants)
	if err != nil {
		return err
	}
	several := o.variants || len(args) > 1
	targets, err := o.targets(f, sources, several)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if err := o.openFrom(ctx, s); err != nil { // before a passphrase is asked for: the other executable asks too
			return err
		}
	}
	if o.signer, err = o.signing.load(ctx, f, targets[0]); err != nil {
		return err
	}
	if o.cache, err = openCache(f); err != nil {
		return err
	}
	if several {
		o.Share()
	}
	sums := []summary{}
	for i, s := range sources {
		sum, err := o.buildOne(ctx, f, s, targets[i])
		if err != nil {
			return err
		}
		if !o.json && !targets[i].stream() {
			sum.print(f)
		}
		sums = append(sums, sum)
	}
	switch {
	case !o.json || targets[0].stream():
		return nil
	case several:
		return f.PrintJSON(sums)
	default:
		return f.PrintJSON(sums[0])
	}
}

// loadSources finds images, each with its variants if they are asked for.
func loadSources(args []string, variants bool) ([]*Source, error) {
	var list []*Source
	named := map[string]string{}
	for _, arg := range args {
		family, variant, err := loadFamily(arg)
		if err != nil {
			return nil, err
		}
		chosen := []string{variant}
		if variants && variant != "" {
			return nil, cli.Usagef("%s is a variant: --variants goes with %s", arg, arg[:len(arg)-len("-")-len(variant)])
		}
		for _, v := range family.Variants {
			if variants {
				chosen = append(chosen, v.Name)
			}
		}
		for _, v := range chosen {
			s, err := family.source(v)
			if err != nil {
				return nil, err
			}
			if other, ok := named[s.Definition.Name]; ok {
				return nil, cli.Usagef("%s and %s are both called %s", other, arg, s.Definition.Name)
			}
			named[s.Definition.Name] = arg
			list = append(list, s)
		}
	}
	return list, nil
}

// targets says where each image goes.
func (o *buildOptions) targets(f *cli.Frame, sources []*Source, several bool) ([]output, error) {
	var list []output
	for _, s := range sources {
		name, to := s.Definition.Name, o.output
		switch {
		case to == "":
			to = "oci:" + name
		case several && strings.HasPrefix(to, "oci:"):
			to = "oci:" + filepath.Join(strings.TrimPrefix(to, "oci:"), name)
		case several && to != "docker":
			return nil, cli.Usagef("output %q is for one image: give several to oci:DIR or docker", to)
		}
		target, err := parseOutput(f, to, name)
		if err != nil {
			return nil, err
		}
		if err := target.choosePlatform(&o.Options); err != nil {
			return nil, err
		}
		list = append(list, target)
	}
	return list, nil
}

// buildOne composes an image and writes it to its target.
func (o buildOptions) buildOne(ctx context.Context, f *cli.Frame, s *Source, target output) (summary, error) {
	r, err := o.Compose(ctx, f, s, target.format(), nil)
	if err != nil {
		return summary{}, err
	}
	return deliver(ctx, f, o, s.Definition, target, r)
}

// deliver writes a result to its target.
func deliver(ctx context.Context, f *cli.Frame, o buildOptions, d *spec.Definition, target output, r *build.Result) (summary, error) {
	var signing errgroup.Group // while the image is written
	var bundles []byte
	signing.Go(func() (err error) {
		bundles, err = sign(r, o.signer)
		return err
	})
	if err := errors.Join(target.write(ctx, f, r), signing.Wait()); err != nil {
		return summary{}, err
	}
	if target.kind == "oci" {
		if err := errors.Join(writeClaims(target.path, r), writeSignatures(target.path, bundles)); err != nil {
			return summary{}, err
		}
	}
	if o.sbom != "" {
		if err := writeSBOMs(o.sbom, d.Name, r); err != nil {
			return summary{}, err
		}
	}
	return summarize(d.Name, target.text, r)
}

func writeSBOMs(dir, name string, r *build.Result) error {
	for _, img := range r.Images {
		file := filepath.Join(dir, fmt.Sprintf("%s-%s", name, strings.ReplaceAll(img.Platform.String(), "/", "-")))
		err := errors.Join(writeIndented(file+".spdx.json", img.SPDX), writeIndented(file+".cdx.json", img.CycloneDX))
		if err != nil {
			return fmt.Errorf("write SBOM: %w", err)
		}
	}
	return nil
}

// writeIndented writes a document for a person to read.
func writeIndented(file string, doc []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", " "); err != nil {
		return err
	}
	return atomicfile.ReplaceBytes(file, b.Bytes(), 0o644)
}

// output is a parsed -o.
type output struct {
	text string // as it was written
	kind string // oci, docker-archive or docker
	path string
	tag  name.Tag
}

func parseOutput(f *cli.Frame, s, image string) (output, error) {
	kind, rest, _ := strings.Cut(s, ":")
	out := output{text: s, kind: kind, path: rest}
	tag := "hardstand/" + image + ":latest"
	switch {
	case kind == "oci" && rest != "":
		return out, nil
	case kind == "docker-archive" && rest != "":
	case kind == "docker":
		if rest != "" {
			tag = rest
		}
		if host := f.Getenv("DOCKER_HOST"); host != "" && !strings.HasPrefix(host, "unix://") {
			return output{}, cli.Usagef("DOCKER_HOST is %s: only a unix socket is spoken to; write a docker-archive and run docker load", host)
		}
	default:
		return output{}, cli.Usagef("output %q: want oci:DIR, docker-archive:FILE or docker[:NAME:TAG]", s)
	}
	var err error
	if out.tag, err = name.NewTag(tag); err != nil {
		return output{}, cli.Usagef("output %q: %v", s, err)
	}
	return out, nil
}

// stream reports whether the image itself goes to stdout.
func (o output) stream() bool { return o.kind == "docker-archive" && o.path == "-" }

func (o output) format() oci.Format {
	if o.kind == "oci" {
		return oci.OCI
	}
	return oci.Docker
}

// choosePlatform picks this machine's platform where a target takes only one.
func (o output) choosePlatform(c *Options) error {
	if o.kind == "oci" {
		return nil
	}
	if len(c.platforms) > 1 {
		return cli.Usagef("%s takes one platform, not %d: choose one with --platform", o.kind, len(c.platforms))
	}
	if len(c.platforms) == 0 {
		p := spec.Platform{Arch: runtime.GOARCH}
		if p.Arch == "arm" {
			p.Variant = "v7"
		}
		c.platforms = []string{p.String()}
	}
	return nil
}

func (o output) write(ctx context.Context, f *cli.Frame, r *build.Result) error {
	if o.kind == "oci" {
		return oci.UpdateLayout(o.path, r.Index, "latest", r.Holds)
	}
	if o.stream() {
		return oci.StreamDockerArchive(f.Stdout, r.Images[0].Image, o.tag)
	}
	if o.kind == "docker-archive" {
		return oci.WriteDockerArchive(o.path, r.Images[0].Image, o.tag)
	}
	return oci.LoadIntoDocker(ctx, f.Getenv("DOCKER_HOST"), r.Images[0].Image, o.tag)
}

// mustBeFile reports a clear error for something that is no regular file.
func mustBeFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	return nil
}
