package auditor

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/audit/runtime"
	"github.com/hardstand/hardstand/internal/cli"
)

type runtimeOptions struct {
	profile    runtime.Profile
	repository string
	register   string
	canaryKey  string
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
  hardstand runtime falco registry.example/app:1 --register app.register`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: []string{"docker", "compose", "kubernetes", "ecs", "falco", "seccomp"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRuntime(cmd.Context(), f, o, args)
		},
	}
	cmd.AddCommand(runtimeTraceCommand())
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
	flags.StringVar(&o.canaryKey, "canary-key", "", "falco: `file` with the canary key that opens the register (default: canary.key in the configuration directory)")
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
	return o.planted(f)
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
	}
	return nil
}

func (o *runtimeOptions) planted(f *cli.Frame) error {
	if o.register == "" {
		return nil
	}
	r, err := loadRegister(f, o.register, o.canaryKey)
	if err != nil {
		return err
	}
	for _, d := range r.Decoys {
		o.profile.Decoys = append(o.profile.Decoys, d.Path)
	}
	for _, t := range r.Tokens {
		o.profile.Tokens = append(o.profile.Tokens, t.Paths...)
	}
	return nil
}

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
	}
	_, err = f.Stdout.Write(data)
	return err
}

func observe(name, comm string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read from
	return runtime.Observe(io.Reader(file), comm)
}
