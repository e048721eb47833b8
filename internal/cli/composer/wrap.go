package composer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
)

type wrapOptions struct {
	buildOptions
	base string
	name string
	args []string
	env  []string
}

// maxProgram bounds a program to wrap, in bytes.
const maxProgram = 1 << 30

func wrapCommand(f *cli.Frame, from OpenFrom) *cobra.Command {
	var o wrapOptions
	o.From = from
	cmd := &cobra.Command{
		Use:   "wrap PROGRAM...",
		Short: "Turn a compiled program into a complete hardened image",
		Long: `Turn a compiled program into a complete hardened image: a base image with the
program at /usr/local/bin, started as its entry point by the non-root user.

The base is static for a statically linked program, base for one that is linked
against the C library, and cc for one that needs the C++ runtime. A library that
the image lacks is an error. Give the program once for each platform to make
an image for several.`,
		Example: `  hardstand wrap ./server -o docker:server:dev
  hardstand wrap build/server-amd64 build/server-arm64 --name server -o oci:server`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runWrap(cmd.Context(), f, o, args) },
	}
	o.Flags(cmd.Flags())
	o.signing.flags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "where to put the image: oci:DIR, docker-archive:FILE or docker[:NAME:TAG]")
	cmd.Flags().StringVar(&o.base, "base", "", "built-in image or definition `file` to start from (default: static or base, as the program needs)")
	cmd.Flags().StringVar(&o.name, "name", "", "`name` of the image and the program in it (default: that of the first file)")
	cmd.Flags().StringArrayVar(&o.args, "arg", nil, "argument for the program; may be repeated")
	cmd.Flags().StringArrayVar(&o.env, "env", nil, "environment `NAME=VALUE`; may be repeated")
	cmd.Flags().StringVar(&o.sbom, "sbom", "", "`directory` for the SBOMs, SPDX and CycloneDX, of each platform")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

// program is a compiled program as its ELF header describes it.
type program struct {
	file     string
	platform spec.Platform
	static   bool
	needed   []string
	data     []byte
}

func runWrap(ctx context.Context, f *cli.Frame, o wrapOptions, files []string) error {
	var programs []program
	seen := map[spec.Platform]string{}
	for _, file := range files {
		p, err := readProgram(file)
		if err != nil {
			return fmt.Errorf("wrap %s: %w", file, err)
		}
		if other, dup := seen[p.platform]; dup {
			return cli.Usagef("%s and %s are both for %s", other, file, p.platform)
		}
		seen[p.platform] = file
		programs = append(programs, p)
	}
	if o.name == "" {
		o.name = strings.ToLower(filepath.Base(files[0]))
	}
	if o.base == "" {
		o.base = baseFor(programs)
	}
	s, err := LoadSource(o.base)
	if err != nil {
		return err
	}
	if err := o.define(s, programs); err != nil {
		return err
	}
	if o.output == "" {
		o.output = "oci:" + o.name + ".oci" // not the program's own name
	}
	target, err := parseOutput(f, o.output, o.name)
	if err != nil {
		return err
	}
	extra := map[spec.Platform][]rootfs.Content{}
	o.components = map[spec.Platform][]sbom.Component{}
	for _, p := range programs {
		o.platforms = append(o.platforms, p.platform.String())
		o.components[p.platform] = components(o.name, o.programPath(), p)
		extra[p.platform] = []rootfs.Content{{Entry: rootfs.Entry{Path: strings.TrimPrefix(o.programPath(), "/"), Mode: 0o555}, Data: p.data}}
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
	r, err := o.Compose(ctx, f, s, target.format(), extra)
	if err != nil {
		return err
	}
	sum, err := deliver(ctx, f, o.buildOptions, s.Definition, target, r)
	switch {
	case err != nil:
		return err
	case target.stream():
		return nil
	case o.json:
		return f.PrintJSON(sum)
	}
	sum.print(f)
	return nil
}

// baseFor chooses the smallest built-in image that has what programs need.
func baseFor(programs []program) string {
	base := "static"
	for _, p := range programs {
		if p.static {
			continue
		}
		if base == "static" {
			base = "base"
		}
		for _, library := range p.needed {
			for _, runtime := range []string{"libstdc++.so", "libgcc_s.so", "libgomp.so"} {
				if strings.HasPrefix(library, runtime) {
					base = "cc"
				}
			}
		}
	}
	return base
}

func (o *wrapOptions) programPath() string { return "/usr/local/bin/" + o.name }

// define turns the base's definition into that of the wrapped program. What
// the lock depends on stays as it is.
func (o *wrapOptions) define(s *Source, programs []program) error {
	d := s.Definition
	if !spec.ValidImageName(o.name) {
		return cli.Usagef("name %q: use lower-case letters, digits and single '-', '_' or '.' between them, with --name", o.name)
	}
	if len(o.platforms) > 0 {
		return cli.Usagef("--platform does not go with wrap: the programs say what they are for")
	}
	for _, p := range programs {
		found := false
		for _, have := range d.Platforms {
			found = found || have == p.platform
		}
		if !found {
			return fmt.Errorf("wrap %s: the base %s has no platform %s", p.file, d.Name, p.platform)
		}
	}
	d.Name, d.Description = o.name, ""
	d.Entrypoint, d.Cmd = []string{o.programPath()}, o.args
	for _, e := range o.env {
		key, value, ok := strings.Cut(e, "=")
		if !ok || key == "" {
			return cli.Usagef("--env %q: want NAME=VALUE", e)
		}
		if d.Environment == nil {
			d.Environment = map[string]string{}
		}
		d.Environment[key] = value
	}
	return nil
}

type machine struct {
	elf.Machine
	elf.Class
	elf.Data
}

// machines maps what an ELF header says to platforms.
var machines = map[machine]spec.Platform{
	{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}:  {Arch: "amd64"},
	{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB}: {Arch: "arm64"},
	{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB}:     {Arch: "arm", Variant: "v7"},
	{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB}:   {Arch: "riscv64"},
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB}:   {Arch: "ppc64le"},
	{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB}:    {Arch: "s390x"},
}

// pie reports whether a shared object says that it is a program.
func pie(f *elf.File) bool {
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	return err == nil && len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0
}

// components describes a program for the SBOM, with the modules that a Go
// program says it is made of.
func components(name, path string, p program) []sbom.Component {
	sum := sha256.Sum256(p.data)
	list := []sbom.Component{{Name: name, SHA256: hex.EncodeToString(sum[:]), License: "NOASSERTION", Note: "the program at " + path}}
	info, err := buildinfo.Read(bytes.NewReader(p.data))
	if err != nil {
		return list
	}
	list[0].Version = versionOf(info)
	list[0].PURL = sbom.GoPURL(info.Main.Path, list[0].Version)
	for _, m := range append(info.Deps, &debug.Module{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}) {
		for m.Replace != nil {
			m = m.Replace
		}
		list = append(list, sbom.GoModule(name, m.Path, m.Version))
	}
	return list
}

// versionOf is the version of a program's module; of one that was compiled in
// its working tree, the pseudo-version of the commit, or none.
func versionOf(info *buildinfo.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	at, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if err != nil || len(settings["vcs.revision"]) < 12 {
		return ""
	}
	v := "v0.0.0-" + at.UTC().Format("20060102150405") + "-" + settings["vcs.revision"][:12]
	if settings["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}

func readProgram(file string) (program, error) {
	if err := mustBeFile(file); err != nil {
		return program{}, err
	}
	data, err := ReadLimited(file, maxProgram)
	if err != nil {
		return program{}, err
	}
	f, err := elf.Open(file)
	if err != nil {
		return program{}, fmt.Errorf("it is no Linux program: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	platform, ok := machines[machine{f.Machine, f.Class, f.Data}]
	if !ok || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN || f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX {
		return program{}, fmt.Errorf("a file of type %v for %v, %v, %v, %v is not supported", f.Type, f.Machine, f.Class, f.Data, f.OSABI)
	}
	p := program{file: file, platform: platform, static: true, data: data}
	if p.static && f.Type == elf.ET_DYN && !pie(f) {
		return program{}, errors.New("it is a library, not a program")
	}
	if p.needed, err = f.ImportedLibraries(); err != nil {
		return program{}, fmt.Errorf("read what it needs: %w", err)
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			p.static = false
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode()&0o111 == 0 {
		return program{}, errors.Join(errors.New("it is not executable"), err)
	}
	return p, nil
}
