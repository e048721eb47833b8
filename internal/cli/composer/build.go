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

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign/keysign"
)

type buildOptions struct {
	Options
	signing signOptions
	output  string
	sbom    string
	json    bool

	signer *keysign.Key // nil without --key
}

func buildCommand(f *cli.Frame, from OpenFrom) *cobra.Command {
	var o buildOptions
	o.From = from
	cmd := &cobra.Command{
		Use:   "build NAME|FILE",
		Short: "Compose an image from the signed Debian archive",
		Long: `Compose an image from the signed Debian archive, without Docker and without root.

The output is one of
  oci:DIR               an OCI layout with every platform (the default, oci:NAME)
  docker-archive:FILE   a file for docker load, one platform, with HEALTHCHECK;
                        "-" writes it to stdout
  docker[:NAME:TAG]     the local Docker engine, one platform, with HEALTHCHECK

The same definition, lock and canary secret give the same bytes on every
machine. SOURCE_DATE_EPOCH sets the creation date; without it, it is that of
the newest file in the image.`,
		Example: `  hardstand build static
  hardstand build base -o oci:base --platform linux/amd64
  hardstand build ./mine.yaml --locked --offline -o docker-archive:mine.tar
  hardstand build base -o oci:base --key hardstand.key
  hardstand build base -o docker:base:dev
  hardstand build static -o docker-archive:- | docker load`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return builtin(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBuild(cmd.Context(), f, o, args[0]) },
	}
	o.Flags(cmd.Flags())
	o.signing.flags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "where to put the image: oci:DIR, docker-archive:FILE or docker[:NAME:TAG]")
	cmd.Flags().StringVar(&o.sbom, "sbom", "", "`directory` for the SBOMs, SPDX and CycloneDX, of each platform")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func runBuild(ctx context.Context, f *cli.Frame, o buildOptions, arg string) error {
	s, err := LoadSource(arg)
	if err != nil {
		return err
	}
	if o.output == "" {
		o.output = "oci:" + s.Definition.Name
	}
	target, err := parseOutput(f, o.output, s.Definition.Name)
	if err != nil {
		return err
	}
	if err := target.choosePlatform(&o.Options); err != nil {
		return err
	}
	if err := o.openFrom(ctx, s); err != nil { // before a passphrase is asked for: the other executable asks too
		return err
	}
	if o.signer, err = o.signing.load(ctx, f, target); err != nil {
		return err
	}
	r, err := o.Compose(ctx, f, s, target.format(), nil)
	if err != nil {
		return err
	}
	return deliver(ctx, f, o, s.Definition, target, r)
}

// deliver writes a result to its target and reports it.
func deliver(ctx context.Context, f *cli.Frame, o buildOptions, d *spec.Definition, target output, r *build.Result) error {
	name := d.Name
	if err := target.write(ctx, f, r); err != nil {
		return err
	}
	if target.kind == "oci" {
		if err := errors.Join(writeClaims(target.path, r), writeSignatures(target.path, r, o.signer)); err != nil {
			return err
		}
	}
	if o.sbom != "" {
		if err := writeSBOMs(o.sbom, name, r); err != nil {
			return err
		}
	}
	sum, err := summarize(name, o.output, r)
	if err != nil {
		return err
	}
	switch {
	case target.stream():
	case o.json:
		return f.PrintJSON(sum)
	default:
		sum.print(f)
	}
	return nil
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
	kind string // oci, docker-archive or docker
	path string
	tag  name.Tag
}

func parseOutput(f *cli.Frame, s, image string) (output, error) {
	kind, rest, _ := strings.Cut(s, ":")
	out := output{kind: kind, path: rest}
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
