package workload

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"mvdan.cc/sh/v3/syntax"
)

// inspected is what docker inspect says of a container, as far as it matters.
type inspected struct {
	Name   string
	Config struct {
		Image       string
		User        string
		Env         []string
		Healthcheck *struct{ Test []string }
	}
	HostConfig struct {
		ReadonlyRootfs bool
		Privileged     bool
		CapAdd         []string
		CapDrop        []string
		SecurityOpt    []string
		PidMode        string
		IpcMode        string
		NetworkMode    string
		UTSMode        string
		UsernsMode     string
		Memory         int64
		NanoCpus       int64
		CpuQuota       int64
		PidsLimit      *int64
		Tmpfs          map[string]string
	}
	Mounts []struct {
		Type, Source, Destination string
		RW                        bool
	}
}

// inspect reads the output of docker inspect: a list of containers, or one.
func (f *file) inspect() error {
	n := 0
	for _, d := range f.docs {
		list, isList := d.value.([]any)
		if !isList {
			list = []any{d.value}
		}
		for i, v := range list {
			at := ""
			if isList {
				at = fmt.Sprintf("/%d", i)
			}
			if object(v)["HostConfig"] == nil {
				continue
			}
			var in inspected
			if err := decode(v, &in); err != nil {
				return err
			}
			n++
			f.containers = append(f.containers, in.container(d, at))
		}
	}
	if n == 0 {
		return errors.New("no container in it: docker inspect of an image says nothing about running it")
	}
	return nil
}

func (in *inspected) container(d *document, at string) *container {
	h, host := in.HostConfig, at+"/HostConfig"
	k := &container{doc: d, name: "container " + shorten(strings.TrimPrefix(in.Name, "/")), role: main, at: at, na: map[string]string{}}
	k.image = field{in.Config.Image, in.Config.Image != "", at + "/Config/Image"}
	k.user = field{in.Config.User, in.Config.User != "", at + "/Config/User"}
	k.readOnly = field{fmt.Sprint(h.ReadonlyRootfs), true, host + "/ReadonlyRootfs"}
	k.privileged = field{fmt.Sprint(h.Privileged), true, host + "/Privileged"}
	k.capabilities(h.CapDrop, h.CapAdd, host+"/CapDrop", host+"/CapAdd")
	k.securityOptions(h.SecurityOpt, host+"/SecurityOpt", h.Privileged)
	for name, mode := range map[string]string{"PidMode": h.PidMode, "IpcMode": h.IpcMode, "NetworkMode": h.NetworkMode, "UTSMode": h.UTSMode, "UsernsMode": h.UsernsMode} {
		if mode == "host" {
			k.host = append(k.host, field{name, true, host + "/" + name})
		}
	}
	k.memory = field{fmt.Sprint(h.Memory), h.Memory > 0, host + "/Memory"}
	k.cpu = field{fmt.Sprint(h.NanoCpus), h.NanoCpus > 0 || h.CpuQuota > 0, host + "/NanoCpus"}
	k.processes = field{at: host + "/PidsLimit"}
	if h.PidsLimit != nil && *h.PidsLimit > 0 {
		k.processes.value, k.processes.set = fmt.Sprint(*h.PidsLimit), true
	}
	for target, options := range h.Tmpfs {
		k.mounts = append(k.mounts, mount{kind: "tmpfs", target: target, options: options, bounded: strings.Contains(options, "size="), at: host + "/Tmpfs/" + escape(target)})
	}
	for i, m := range in.Mounts {
		if m.Type != "tmpfs" {
			k.mounts = append(k.mounts, mount{kind: m.Type, source: m.Source, target: m.Destination, readOnly: !m.RW, fixed: true, bounded: true, at: fmt.Sprintf("%s/Mounts/%d", at, i)})
		}
	}
	k.assignments(in.Config.Env, at+"/Config/Env")
	return k
}

func (k *container) assignments(env []string, at string) {
	for i, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		k.env = append(k.env, variable{name: name, value: value, at: fmt.Sprintf("%s/%d", at, i)})
	}
}

func (k *container) capabilities(drop, add []string, dropAt, addAt string) {
	k.dropAll = field{at: dropAt}
	for _, d := range drop {
		if strings.EqualFold(d, "ALL") {
			k.dropAll.value, k.dropAll.set = "ALL", true
		}
	}
	for i, a := range add {
		k.added = append(k.added, field{a, true, fmt.Sprintf("%s/%d", addAt, i)})
	}
}

// securityOptions reads no-new-privileges and seccomp. Without an option
// Docker uses its own profile, unless the container is privileged.
func (k *container) securityOptions(list []string, at string, privileged bool) {
	k.escalation, k.seccomp = field{at: at}, field{"RuntimeDefault", true, at}
	if privileged {
		k.seccomp.value = "Unconfined"
	}
	for i, o := range list {
		name, value, ok := strings.Cut(o, "=")
		if !ok {
			name, value, _ = strings.Cut(o, ":")
		}
		where := fmt.Sprintf("%s/%d", at, i)
		switch name {
		case "no-new-privileges":
			k.escalation = field{"false", true, where}
			if value == "false" {
				k.escalation.value = "true"
			}
		case "seccomp":
			k.seccomp = field{"Localhost", true, where}
			if value == "unconfined" {
				k.seccomp.value = "Unconfined"
			}
		}
	}
}

// single are the flags of docker run that take no value.
var single = map[string]bool{
	"-d": true, "--detach": true, "--rm": true, "-i": true, "-t": true, "-it": true, "-ti": true, "-itd": true, "-dit": true, "-di": true, "-dt": true,
	"--interactive": true, "--tty": true, "--init": true, "--read-only": true, "--privileged": true, "-P": true, "--publish-all": true,
	"--no-healthcheck": true, "--oom-kill-disable": true, "--sig-proxy": true, "-q": true, "--quiet": true, "--disable-content-trust": true,
}

// runLine reads a docker run command.
func (f *file) runLine(in Input) error {
	words, line, err := split(in.Data)
	if err != nil {
		return err
	}
	args := words[1:]
	if len(args) > 0 && args[0] == "container" {
		args = args[1:]
	}
	if len(args) == 0 || args[0] != "run" && args[0] != "create" {
		return errors.New("it is no docker run command")
	}
	flags := map[string][]string{}
	args = args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		name, value, has := strings.Cut(args[0], "=")
		args = args[1:]
		if !has && single[name] {
			value = "true"
		} else if !has {
			if len(args) == 0 {
				return fmt.Errorf("%s has no value", name)
			}
			value, args = args[0], args[1:]
		}
		if long := short[name]; long != "" {
			name = long
		}
		flags[name] = append(flags[name], value)
	}
	if len(args) == 0 {
		return errors.New("it names no image")
	}
	f.docs = []*document{{line: line}}
	f.containers = append(f.containers, fromFlags(f.docs[0], flags, args[0]))
	return nil
}

var short = map[string]string{"-u": "--user", "-e": "--env", "-v": "--volume", "-m": "--memory", "--net": "--network"}

// split returns the words of the first command, and its line.
func split(data []byte) ([]string, int, error) {
	parsed, err := syntax.NewParser().Parse(strings.NewReader(string(data)), "")
	if err != nil {
		return nil, 0, err
	}
	if len(parsed.Stmts) == 0 {
		return nil, 0, errors.New("no command in it")
	}
	call, ok := parsed.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 2 {
		return nil, 0, errors.New("it is no plain command")
	}
	var words []string
	for _, w := range call.Args {
		var b strings.Builder
		for _, p := range w.Parts {
			part(&b, p)
		}
		words = append(words, b.String())
	}
	return words, int(parsed.Stmts[0].Pos().Line()), nil
}

// part writes what a shell would make of a part of a word; variables stay.
func part(b *strings.Builder, p syntax.WordPart) {
	switch p := p.(type) {
	case *syntax.Lit:
		b.WriteString(strings.ReplaceAll(p.Value, "\\\n", ""))
	case *syntax.SglQuoted:
		b.WriteString(p.Value)
	case *syntax.DblQuoted:
		for _, q := range p.Parts {
			part(b, q)
		}
	default:
		b.WriteString("${…}")
	}
}

func fromFlags(d *document, flags map[string][]string, image string) *container {
	last := func(name string) field {
		list := flags[name]
		if len(list) == 0 {
			return field{}
		}
		return field{value: list[len(list)-1], set: true}
	}
	k := &container{doc: d, name: "docker run", role: main, na: map[string]string{}}
	k.image = field{value: image, set: true}
	k.user, k.readOnly, k.privileged = last("--user"), last("--read-only"), last("--privileged")
	k.memory, k.cpu, k.processes = last("--memory"), last("--cpus"), last("--pids-limit")
	k.capabilities(flags["--cap-drop"], flags["--cap-add"], "", "")
	k.securityOptions(flags["--security-opt"], "", k.privileged.value == "true")
	for _, name := range []string{"--pid", "--ipc", "--network", "--uts", "--userns"} {
		if last(name).value == "host" {
			k.host = append(k.host, field{value: name, set: true})
		}
	}
	for _, t := range flags["--tmpfs"] {
		target, options, _ := strings.Cut(t, ":")
		k.mounts = append(k.mounts, mount{kind: "tmpfs", target: target, options: options, bounded: strings.Contains(options, "size=")})
	}
	for _, v := range flags["--volume"] {
		k.mounts = append(k.mounts, shortVolume(v, ""))
	}
	for _, m := range flags["--mount"] {
		k.mounts = append(k.mounts, longVolume(m))
	}
	k.assignments(flags["--env"], "")
	for i := range k.env {
		k.env[i].at = ""
	}
	return k
}

// shortVolume reads SOURCE:TARGET:OPTIONS.
func shortVolume(v, at string) mount {
	parts := strings.Split(v, ":")
	m := mount{kind: "volume", target: parts[0], fixed: true, bounded: true, at: at}
	if len(parts) > 1 {
		m.source, m.target = parts[0], parts[1]
		if strings.HasPrefix(m.source, "/") || strings.HasPrefix(m.source, ".") || strings.HasPrefix(m.source, "~") || strings.HasPrefix(m.source, "$") {
			m.kind = "bind"
		}
	}
	if len(parts) > 2 {
		for _, o := range strings.Split(parts[2], ",") {
			m.readOnly = m.readOnly || o == "ro"
		}
	}
	return m
}

// longVolume reads the value of --mount.
func longVolume(v string) mount {
	m := mount{kind: "volume", fixed: true, bounded: true}
	for _, kv := range strings.Split(v, ",") {
		key, value, _ := strings.Cut(kv, "=")
		switch key {
		case "type":
			m.kind = value
		case "source", "src":
			m.source = value
		case "target", "dst", "destination":
			m.target = value
		case "readonly", "ro":
			m.readOnly = value != "false"
		}
	}
	return m
}

// kindsAll are the formats that describe containers.
var kindsAll = []audit.Kind{audit.Docker, audit.Compose, audit.Kubernetes, audit.ECS}
