package auditor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	target     string // fargate or ec2
	output     string
	json       bool
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
  hardstand runtime kubernetes registry.example/app:1 --tmpfs /tmp --output deploy/
  hardstand runtime kubernetes registry.example/app:1 --istio --egress 10.0.0.0/8:5432
  hardstand runtime kubernetes registry.example/app:1 --tls-secret app-tls
  hardstand runtime ecs registry.example/app:1 --launch-type ec2 --region eu-west-1
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
	flags.StringVar(&o.repository, "repository", "", "`repository` the image will be pulled from, for one that is not in a registry yet; with @sha256:... also its digest there")
	flags.StringVar(&p.User, "user", "", "`UID:GID` (default: the image's)")
	flags.IntVar(&p.Port, "port", 0, "port the application listens on (default: the image's only one)")
	flags.StringSliceVar(&p.Check, "check", nil, "health check, program and arguments (default: the image's)")
	flags.StringSliceVar(&p.Tmpfs, "tmpfs", nil, "`directories` the application writes to")
	flags.IntVar(&p.MemoryMiB, "memory", 0, "limit of memory in MiB (default 128)")
	flags.IntVar(&p.MilliCPU, "cpu", 0, "limit of CPU in thousandths (default 500)")
	flags.IntVar(&p.Processes, "pids", 0, "limit of processes (default 64)")
	flags.StringVar(&p.Seccomp, "seccomp", "", "absolute path of a seccomp profile, for docker and compose")
	flags.StringVar(&p.Namespace, "namespace", "", "kubernetes: namespace (default: the name)")
	flags.BoolVar(&p.Exec, "exec-probe", false, "kubernetes: check by the probe only, as strict mTLS demands")
	flags.BoolVar(&p.Istio, "istio", false, "kubernetes: with Istio's sidecar and strict mTLS, checked by the probe")
	flags.StringArrayVar(&p.Egress, "egress", nil, "kubernetes, falco: `CIDR:PORT` that the application connects to, and nothing else; may be repeated")
	flags.StringVar(&p.TLS.CA, "tls-ca", "", "the application speaks TLS: `file` in the container with the certificates that the probe trusts")
	flags.StringVar(&p.TLS.Cert, "tls-cert", "", "`file` in the container with the probe's client certificate, for mTLS")
	flags.StringVar(&p.TLS.Key, "tls-key", "", "`file` in the container with its private key")
	flags.StringVar(&p.TLS.ServerName, "tls-server-name", "", "`name` in the application's certificate")
	flags.StringVar(&p.TLS.Secret, "tls-secret", "", "kubernetes: `name` of the Secret with ca.crt, tls.crt and tls.key")
	flags.StringVar(&o.target, "launch-type", "fargate", "ecs: fargate or ec2")
	flags.StringVar(&p.Region, "region", "", "ecs: `region` of the log group (default: a name to replace)")
	flags.StringVarP(&o.output, "output", "o", "", "`FILE`, or DIRECTORY/ for one file each, in place of standard output")
	flags.BoolVar(&o.json, "json", false, "print what was taken from the image, and the files, as JSON")
	flags.StringVar(&o.register, "register", "", "falco: decoy register `file` of the image")
	flags.StringVar(&o.canaryKey, "canary-key", "", "falco: `file` with the canary key that opens the register (default: canary.key in the configuration directory)")
	flags.StringVar(&o.platform, "platform", "", "platform, as os/arch: which image is read; seccomp: for which the profile is (default both)")
	flags.BoolVar(&o.training, "training", false, "seccomp: write the profile that logs every system call")
	flags.StringArrayVar(&o.traces, "trace", nil, "seccomp: `file` with the kernel's log or strace -f's output; several are merged")
	flags.StringVar(&o.comm, "comm", "", "seccomp: `name` of the program whose records in the log count")
	return cmd
}

// forms are what can be written, each to files whose first name is the
// form's own.
var forms = map[string]func(runtime.Profile) ([]runtime.File, error){
	"docker":     one("run.sh", runtime.Docker),
	"compose":    one("compose.yaml", runtime.Compose),
	"kubernetes": runtime.Kubernetes,
	"ecs":        one("task-definition.json", runtime.ECS),
	"falco":      one("falco-rules.yaml", runtime.Falco),
}

func one(name string, write func(runtime.Profile) ([]byte, error)) func(runtime.Profile) ([]runtime.File, error) {
	return func(p runtime.Profile) ([]runtime.File, error) {
		data, err := write(p)
		return []runtime.File{{Name: name, Data: data}}, err
	}
}

func runRuntime(ctx context.Context, f *cli.Frame, o *runtimeOptions, args []string) error {
	if args[0] == "seccomp" {
		if len(args) > 1 {
			return cli.Usagef("a seccomp profile is made of a trace and not of an image")
		}
		return o.seccomp(f)
	}
	write, ok := forms[args[0]]
	switch {
	case !ok:
		return cli.Usagef("runtime %s: take docker, compose, kubernetes, ecs, falco or seccomp", args[0])
	case len(args) < 2:
		return cli.Usagef("runtime %s needs an image", args[0])
	case o.target != "fargate" && o.target != "ec2":
		return cli.Usagef("--launch-type %s: take fargate or ec2", o.target)
	}
	o.profile.EC2 = o.target == "ec2"
	if err := o.read(ctx, f, args[1]); err != nil {
		return fmt.Errorf("read %s: %w", args[1], err)
	}
	files, err := write(o.profile)
	if err != nil {
		return fmt.Errorf("write %s: %w", args[0], err)
	}
	return o.print(f, args[0], files)
}

// print hands over what was written: to standard output, a file, or a
// directory.
func (o *runtimeOptions) print(f *cli.Frame, form string, files []runtime.File) error {
	data := runtime.Documents(files)
	if o.json {
		var err error
		if data, err = o.machine(form, files); err != nil {
			return err
		}
		files = []runtime.File{{Name: form + ".json", Data: data}}
	}
	if o.output == "" {
		_, err := f.Stdout.Write(data)
		return err
	}
	if info, err := os.Stat(o.output); !strings.HasSuffix(o.output, "/") && (err != nil || !info.IsDir()) {
		return writeWhole(o.output, data)
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		name := filepath.Join(o.output, file.Name)
		if err := writeWhole(name, file.Data); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := fmt.Fprintln(f.Stdout, name); err != nil {
			return err
		}
	}
	return nil
}

// machine is the form, the profile it was written from, and the files.
func (o *runtimeOptions) machine(form string, files []runtime.File) ([]byte, error) {
	type content struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
	doc := struct {
		Form    string           `json:"form"`
		Profile *runtime.Profile `json:"profile,omitempty"`
		Command []string         `json:"command,omitempty"`
		Files   []content        `json:"files"`
	}{Form: form, Profile: &o.profile}
	if form == "seccomp" {
		doc.Profile = nil
	}
	if form == "docker" {
		var err error
		if doc.Command, err = runtime.DockerArgs(o.profile); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		doc.Files = append(doc.Files, content{file.Name, string(file.Data)})
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	return append(data, '\n'), err
}

// read fills in from the image what no flag says.
func (o *runtimeOptions) read(ctx context.Context, f *cli.Frame, arg string) error {
	img, err := openPinned(ctx, f, arg, o.platform)
	if err != nil {
		return err
	}
	defer img.done()
	config, err := img.image.ConfigFile()
	if err != nil {
		return err
	}
	if err := o.name(f, img, arg); err != nil {
		return err
	}
	if name := config.OS + "/" + config.Architecture; runtime.Supported(name) {
		o.profile.Platform, o.profile.Single = name, img.single
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
func (o *runtimeOptions) name(f *cli.Frame, img opened, arg string) error {
	repository, digest, told := strings.Cut(o.repository, "@")
	if repository == "" {
		if !inRegistry(arg) {
			return cli.Usagef("say with --repository where %s will be pulled from", arg)
		}
		repository, _, _ = strings.Cut(arg, "@")
		if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
			repository = repository[:i]
		}
	}
	if !told {
		if img.local {
			d, err := img.image.Digest()
			if err != nil {
				return err
			}
			img.digest = d
			if _, err := fmt.Fprintf(f.Stderr, "%s has no digest of a registry: %s stands for it, and whoever pushes the image may get another. Name that one with --repository %s@sha256:...\n", arg, d, repository); err != nil {
				return err
			}
		}
		digest = img.digest.String()
	}
	o.profile.Reference = repository + "@" + digest
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
		var names, on []string
		for _, name := range o.traces {
			more, err := observe(name, o.comm)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			names = append(names, more...)
		}
		if o.platform != "" {
			on = strings.Split(o.platform, ",")
		}
		data, err = runtime.Seccomp(names, on...)
	}
	if err != nil {
		return fmt.Errorf("write seccomp profile: %w", err)
	}
	return o.print(f, "seccomp", []runtime.File{{Name: "seccomp.json", Data: data}})
}

func observe(name, comm string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read from
	return runtime.Observe(io.Reader(file), comm)
}
