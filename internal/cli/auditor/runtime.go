package auditor

import (
	"context"
	"fmt"
<<<<<<< HEAD
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
=======
	"math"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)

	"github.com/hardstand/hardstand/audit/image"
	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

<<<<<<< HEAD
type runtimeOptions struct {
	profile    runtime.Profile
	repository string
	register   string
	platform   string
	training   bool
	traces     []string
	comm       string
}

func runtimeCommand(f *cli.Frame) *cobra.Command {
	o := &runtimeOptions{}
	cmd := &cobra.Command{
		Use:   "runtime docker|compose|kubernetes|ecs|falco|seccomp IMAGE",
		Short: "Write how an image is to be run: hardened, and passing the audit",
		Long: `Write how an image is to be run: read-only, as its numeric user, without
capabilities and new privileges, with limits, by digest. What is written passes
hardstand audit. User, port and health check come from the image; flags say
otherwise. Nothing is written for an image that runs as root.

A seccomp profile needs a trace: run the application with the profile of
--training, use all of it, and give the kernel's log, or strace -f's output, with
--trace. It works with no-new-privileges only.`,
		Example: `  hardstand runtime docker registry.example/app:1
  hardstand runtime kubernetes registry.example/app:1 --tmpfs /tmp --exec-probe
  hardstand runtime seccomp --training
  hardstand runtime seccomp --trace kernel.log --comm app
  hardstand runtime falco registry.example/app:1 --register app.register.json`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: []string{"docker", "compose", "kubernetes", "ecs", "falco", "seccomp"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRuntime(cmd.Context(), f, o, args)
		},
	}
	flags, p := cmd.Flags(), &o.profile
	flags.StringVar(&p.Name, "name", "", "name of the application (default: the repository's last part)")
	flags.StringVar(&o.repository, "repository", "", "`repository` the image will be pulled from, for one that is not in a registry yet")
	flags.StringVar(&p.User, "user", "", "`UID:GID` (default: the image's)")
	flags.IntVar(&p.Port, "port", 0, "port the application listens on (default: the image's only one)")
	flags.StringSliceVar(&p.Check, "check", nil, "health check, program and arguments (default: the image's)")
	flags.StringSliceVar(&p.Tmpfs, "tmpfs", nil, "`directories` the application writes to")
	flags.IntVar(&p.MemoryMiB, "memory", 0, "limit of memory in MiB (default 128)")
	flags.IntVar(&p.MilliCPU, "cpu", 0, "limit of CPU in thousandths (default 500)")
	flags.IntVar(&p.Processes, "pids", 0, "limit of processes (default 64)")
	flags.StringVar(&p.Seccomp, "seccomp", "", "absolute path of a seccomp profile, for docker and compose")
	flags.BoolVar(&p.Exec, "exec-probe", false, "kubernetes: check by the probe only, as strict mTLS (Istio) demands")
	flags.StringVar(&o.register, "register", "", "falco: decoy register `file` of the image")
	flags.StringVar(&o.platform, "platform", "", "platform of the image, as os/arch")
	flags.BoolVar(&o.training, "training", false, "seccomp: write the profile that logs every system call")
	flags.StringArrayVar(&o.traces, "trace", nil, "seccomp: `file` with the kernel's log or strace -f's output; several are merged")
	flags.StringVar(&o.comm, "comm", "", "seccomp: `name` of the program whose records in the log count")
	return cmd
}

func runRuntime(ctx context.Context, f *cli.Frame, o *runtimeOptions, args []string) error {
	if args[0] == "seccomp" {
		if len(args) > 1 {
			return cli.Usagef("a seccomp profile is made of a trace and not of an image")
		}
		return o.seccomp(f)
	}
	write, ok := map[string]func(runtime.Profile) ([]byte, error){
		"docker": runtime.Docker, "compose": runtime.Compose, "kubernetes": runtime.Kubernetes, "ecs": runtime.ECS, "falco": runtime.Falco,
	}[args[0]]
	if !ok {
		return cli.Usagef("runtime %s: take docker, compose, kubernetes, ecs, falco or seccomp", args[0])
	}
	if len(args) < 2 {
		return cli.Usagef("runtime %s needs an image", args[0])
	}
	if err := o.read(ctx, f, args[1]); err != nil {
		return fmt.Errorf("read %s: %w", args[1], err)
	}
	data, err := write(o.profile)
	if err != nil {
		return fmt.Errorf("write %s: %w", args[0], err)
	}
	_, err = f.Stdout.Write(data)
	return err
}

// read fills in from the image what no flag says.
func (o *runtimeOptions) read(ctx context.Context, f *cli.Frame, arg string) error {
	img, done, err := openImage(ctx, f, arg, o.platform)
	if err != nil {
		return err
	}
	defer done()
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	if err := o.name(img, arg); err != nil {
		return err
	}
	p, c := &o.profile, config.Config
	if p.User == "" {
		if p.User = c.User; p.User == "" {
			p.User = "0:0" // which is refused
		} else if !strings.Contains(p.User, ":") {
			p.User += ":" + p.User
		}
	}
	if p.Port == 0 && len(c.ExposedPorts) == 1 {
		for port := range c.ExposedPorts {
			number, _, _ := strings.Cut(port, "/")
			p.Port, _ = strconv.Atoi(number) // 0 is no port
		}
	}
	if h := c.Healthcheck; len(p.Check) == 0 && h != nil && len(h.Test) > 1 && h.Test[0] == "CMD" {
		p.Check = h.Test[1:]
	}
	if argv := slices.Concat(c.Entrypoint, c.Cmd); len(argv) > 0 && path.IsAbs(argv[0]) {
		p.Program = argv[0]
	}
	return o.planted()
}

// name finds out what the image is pulled by.
func (o *runtimeOptions) name(img v1.Image, arg string) error {
	repository := o.repository
	if repository == "" {
		if !inRegistry(arg) {
			return cli.Usagef("say with --repository where %s will be pulled from", arg)
		}
		repository, _, _ = strings.Cut(arg, "@")
		if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
			repository = repository[:i]
		}
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	o.profile.Reference = repository + "@" + digest.String()
	if o.profile.Name == "" {
		o.profile.Name = strings.ReplaceAll(strings.ToLower(path.Base(repository)), "_", "-")
=======
// runtimeOptions are the flags that all formats share.
type runtimeOptions struct {
	runtime.Options
	image    string
	platform string
	output   string
	register string
	memory   string
	cpu      string
	size     string
	ports    []string
}

func runtimeCommand(f *cli.Frame) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runtime",
		Short: "Write hardened run-time configuration for an image",
		Long: `Write hardened run-time configuration for an image: a read-only root file
system, a numeric user that is not root, no capabilities, no new privileges,
limits, and a health check without a shell. What is written passes hardstand
audit.

An image is oci:DIR, docker-archive:FILE, docker:REF, or a reference in a
registry. The configuration names it by digest; --image says under which name
the platform pulls one that is not in a registry yet.`,
		Example: `  hardstand runtime docker docker:app:1.4.2 > run.sh
  hardstand runtime kubernetes registry.example/app:1.4.2 --port 8080 -o app.yaml
  hardstand runtime seccomp docker:app:1.4.2 --trace traces/run1 -o seccomp.json`,
	}
	cmd.AddCommand(runtimeDockerCommand(f), runtimeComposeCommand(f), runtimeKubernetesCommand(f), runtimeECSCommand(f),
		runtimeFalcoCommand(f), runtimeSeccompCommand(f), runtimeTraceCommand())
	return cmd
}

// source are the flags that say which image is meant and where the result
// goes.
func (o *runtimeOptions) source(flags *pflag.FlagSet) {
	flags.StringVar(&o.image, "image", "", "`name` that the platform pulls the image by (default: the argument); the digest is added")
	flags.StringVar(&o.platform, "platform", "", "platform of the image to read, such as linux/arm64 (default: linux on this machine's processor)")
	flags.StringVarP(&o.output, "output", "o", "", "`file` to write (default: standard output)")
	flags.StringVar(&o.Name, "name", "", "`name` of the container and what is around it (default: the last part of the image's)")
}

// limits are the flags of whatever starts the program.
func (o *runtimeOptions) limits(flags *pflag.FlagSet) {
	flags.StringVar(&o.memory, "memory", "128Mi", "limit of memory, such as 256Mi; measure the program and double it")
	flags.StringVar(&o.cpu, "cpu", "500m", "limit of processors, such as 0.5 or 500m")
	flags.StringArrayVar(&o.ports, "port", nil, "`port` the program listens on, such as 8080 or 53/udp; may be repeated (default: what the image exposes)")
	flags.StringArrayVar(&o.Env, "env", nil, "environment `NAME=VALUE` for the program; may be repeated. No place for secrets")
	flags.StringArrayVar(&o.Writable, "writable", nil, "`directory` the program writes to; may be repeated (default: /tmp and the image's volumes)")
	flags.StringVar(&o.size, "writable-size", "16Mi", "size of each writable directory")
	flags.StringArrayVar(&o.Check, "check", nil, "`argument` for the probe, such as :9000/healthz or --check=--ca-file; may be repeated (default: the image's health check)")
	flags.BoolVar(&o.NoHealth, "no-health", false, "go on if there is no health check")
}

// inspect opens the image and reads the flags.
func (o *runtimeOptions) inspect(ctx context.Context, f *cli.Frame, arg string) (runtime.Image, error) {
	if err := o.values(); err != nil {
		return runtime.Image{}, err
	}
	arg, digest, err := pin(ctx, arg)
	if err != nil {
		return runtime.Image{}, err
	}
	img, done, err := openImage(ctx, f, arg, o.platform)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("open %s: %w", arg, err)
	}
	defer done()
	reference, err := o.reference(arg, digest, img)
	if err != nil {
		return runtime.Image{}, err
	}
	out, err := runtime.Inspect(img, reference)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("inspect %s: %w", arg, err)
	}
	return out, o.planted()
}

func (o *runtimeOptions) values() error {
	var err error
	if o.Memory, err = bytesOf("--memory", o.memory); err != nil {
		return err
	}
	if o.WritableSize, err = bytesOf("--writable-size", o.size); err != nil {
		return err
	}
	if o.CPU, err = processorsOf(o.cpu); err != nil {
		return err
	}
	for _, text := range o.ports {
		port, err := runtime.ParsePort(text)
		if err != nil {
			return cli.Usagef("--port: %v", err)
		}
		o.Ports = append(o.Ports, port)
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
	}
	return nil
}

<<<<<<< HEAD
=======
// planted reads what was planted in the image.
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
func (o *runtimeOptions) planted() error {
	if o.register == "" {
		return nil
	}
	data, err := readLimited(o.register, image.MaxRegister)
	if err != nil {
		return err
	}
	r, err := image.ParseRegister(o.register, data)
	if err != nil {
		return err
	}
	for _, d := range r.Decoys {
<<<<<<< HEAD
		o.profile.Decoys = append(o.profile.Decoys, d.Path)
	}
	for _, t := range r.Tokens {
		o.profile.Tokens = append(o.profile.Tokens, t.Paths...)
=======
		o.Decoys = append(o.Decoys, "/"+strings.TrimPrefix(d.Path, "/"))
	}
	for _, t := range r.Tokens {
		for _, p := range t.Paths {
			o.Tokens = append(o.Tokens, "/"+strings.TrimPrefix(p, "/"))
		}
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
	}
	return nil
}

<<<<<<< HEAD
func (o *runtimeOptions) seccomp(f *cli.Frame) error {
	var data []byte
	var err error
	if o.training {
		data, err = runtime.Training()
	} else {
		var names []string
		for _, name := range o.traces {
			more, err := observe(name, o.comm)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			names = append(names, more...)
		}
		data, err = runtime.Seccomp(names)
	}
	if err != nil {
		return fmt.Errorf("write seccomp profile: %w", err)
=======
// pin asks a registry once which digest a tag has, so that what is read and
// what is written are the same image. A layout of one image or index has that
// one's digest.
func pin(ctx context.Context, arg string) (string, string, error) {
	if dir, ok := strings.CutPrefix(arg, "oci:"); ok {
		idx, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			return "", "", fmt.Errorf("open %s: %w", arg, err)
		}
		m, err := idx.IndexManifest()
		if err != nil {
			return "", "", fmt.Errorf("open %s: %w", arg, err)
		}
		if len(m.Manifests) == 1 {
			return arg, m.Manifests[0].Digest.String(), nil
		}
		return arg, "", nil
	}
	if !inRegistry(arg) {
		return arg, "", nil
	}
	ref, err := name.ParseReference(arg)
	if err != nil {
		return "", "", cli.Usagef("%v", err)
	}
	if d, ok := ref.(name.Digest); ok {
		return arg, d.DigestStr(), nil
	}
	d, err := remote.Head(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return "", "", fmt.Errorf("ask for the digest of %s: %w", arg, err)
	}
	return arg + "@" + d.Digest.String(), d.Digest.String(), nil
}

// reference is the name that a platform pulls the image by. An image of a
// daemon or an archive gets its digest when it is pushed; until then Docker
// knows it by its ID.
func (o *runtimeOptions) reference(arg, digest string, img v1.Image) (string, error) {
	scheme, _, _ := strings.Cut(arg, ":")
	switch {
	case strings.Contains(o.image, "@"):
		if _, err := name.NewDigest(o.image); err != nil {
			return "", cli.Usagef("--image: %v", err)
		}
		return o.image, nil
	case o.image != "":
		ref, err := name.ParseReference(o.image)
		if err != nil {
			return "", cli.Usagef("--image: %v", err)
		}
		if digest == "" && scheme == "oci" {
			d, err := img.Digest()
			if err != nil {
				return "", err
			}
			digest = d.String()
		}
		if digest == "" {
			return ref.String(), nil
		}
		return o.image + "@" + digest, nil
	case inRegistry(arg):
		return arg, nil
	case scheme == "oci":
		return "", nil
	}
	id, err := img.ConfigName()
	return id.String(), err
}

// write puts the result where it was asked for.
func (o *runtimeOptions) write(f *cli.Frame, data []byte, err error) error {
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := writeWhole(o.output, data); err != nil {
			return fmt.Errorf("write %s: %w", o.output, err)
		}
		return nil
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
	}
	_, err = f.Stdout.Write(data)
	return err
}

<<<<<<< HEAD
func observe(name, comm string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read from
	return runtime.Observe(io.Reader(file), comm)
=======
var units = []struct {
	suffix string
	size   int64
}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"k", 1000}, {"M", 1e6}, {"G", 1e9}, {"", 1}}

// bytesOf reads a size as Kubernetes writes it.
func bytesOf(flag, text string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/u.size {
			break
		}
		return n * u.size, nil
	}
	return 0, cli.Usagef("%s %s: write a size such as 256Mi or 1Gi", flag, text)
}

// processorsOf reads processors as Kubernetes writes them, in thousandths.
func processorsOf(text string) (int, error) {
	number, scale := text, 1000.0
	if n, ok := strings.CutSuffix(text, "m"); ok {
		number, scale = n, 1
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || v*scale > 1e6 {
		return 0, cli.Usagef("--cpu %s: write processors such as 0.5 or 500m", text)
	}
	return int(math.Round(v * scale)), nil
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
}
