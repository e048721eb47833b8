package workload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hardstand/hardstand/audit/workload/compose"
)

// compose reads a Compose file. The reader puts extensions and short forms in
// place; the lines come from the document itself. Files that it includes or
// extends are not opened: what they say is unknown, and noted.
func (f *file) compose(ctx context.Context, in Input, o Options) error {
	if len(f.docs) == 0 {
		return fmt.Errorf("it is empty")
	}
	d := f.docs[0]
	model, partial := apart(object(d.value))
	project, err := load(ctx, in, model, o, true)
	var nobody *compose.UnavailableError
	if errors.As(err, &nobody) {
		return err
	}
	if err != nil {
		if project, err = load(ctx, in, model, o, false); err != nil {
			return err
		}
	}
	if object(d.value)["include"] != nil {
		f.notes = append(f.notes, "files that it includes are not opened: audit the output of docker compose config")
	}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		k := service(d, name, &s)
		if partial[name] {
			f.notes = append(f.notes, "service "+shorten(name)+" extends another file, which is not opened: audit the output of docker compose config")
			k.partial = "the file that the service extends: audit the output of docker compose config"
		}
		f.containers = append(f.containers, k)
	}
	return nil
}

// load reads the model. A variable that nobody gave stays as it is written;
// where a number is expected that fails, and it is left empty then.
func load(ctx context.Context, in Input, model map[string]any, o Options, keep bool) (compose.Project, error) {
	if model == nil {
		return compose.Project{}, fmt.Errorf("it is no mapping")
	}
	if o.Compose == nil {
		return compose.Project{}, &compose.UnavailableError{Err: errors.New("nobody reads Compose files here")}
	}
	return o.Compose(ctx, compose.Request{
		Name: in.Name, Model: model, Env: o.Env, Keep: keep,
		Interpolate: !keep || substitutable(model, o.Env),
	})
}

// substitutable reports whether every variable has a value or default, so
// that putting them in place loses nothing.
func substitutable(v any, env map[string]string) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if !substitutable(x, env) {
				return false
			}
		}
	case []any:
		for _, x := range v {
			if !substitutable(x, env) {
				return false
			}
		}
	case string:
		rest := strings.ReplaceAll(v, "$$", "")
		for {
			_, after, ok := strings.Cut(rest, "$")
			if !ok {
				return true
			}
			name := strings.TrimPrefix(after, "{")
			end := strings.IndexFunc(name, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
			})
			if end < 0 {
				end = len(name)
			}
			_, have := env[name[:end]]
			if !have && !strings.HasPrefix(name[end:], "-") && !strings.HasPrefix(name[end:], ":-") {
				return false
			}
			rest = name[end:]
		}
	}
	return true
}

// apart takes from a model the extensions of other files, which nobody opens,
// and leaves those within it. partial names the services that lack something
// for it, also by way of another service.
func apart(model map[string]any) (cut map[string]any, partial map[string]bool) {
	services := object(model["services"])
	partial = map[string]bool{}
	kept := map[string]any{}
	for name, s := range services {
		kept[name] = s
		if object(object(s)["extends"])["file"] != nil {
			own := maps.Clone(object(s))
			delete(own, "extends")
			kept[name], partial[name] = own, true
		}
	}
	if len(partial) == 0 {
		return model, partial
	}
	for range services { // a chain has no more links
		grown := false
		for name, s := range services {
			from, _ := object(s)["extends"].(string)
			if from == "" {
				from, _ = object(object(s)["extends"])["service"].(string)
			}
			if partial[from] && !partial[name] {
				partial[name], grown = true, true
			}
		}
		if !grown {
			break
		}
	}
	cut = maps.Clone(model)
	cut["services"] = kept
	return cut, partial
}

func service(d *document, name string, s *compose.Service) *container {
	at := "/services/" + escape(name)
	k := &container{doc: d, name: "service " + shorten(name), role: main, at: at, na: map[string]string{"3.5t": "only ECS has task and execution roles"}}
	k.image = field{s.Image, s.Image != "", at + "/image"}
	if s.Image == "" && s.Built {
		for _, id := range []string{"2.2q", "2.2r"} {
			k.na[id] = "it is built from a Dockerfile, which is audited by itself"
		}
	}
	k.user = field{s.User, s.User != "", at + "/user"}
	k.readOnly = field{strconv.FormatBool(s.ReadOnly), s.ReadOnly, at + "/read_only"}
	k.privileged = field{strconv.FormatBool(s.Privileged), s.Privileged, at + "/privileged"}
	k.capabilities(s.CapDrop, s.CapAdd, at+"/cap_drop", at+"/cap_add")
	k.securityOptions(s.SecurityOpt, at+"/security_opt", s.Privileged)
	for key, mode := range map[string]string{"network_mode": s.NetworkMode, "pid": s.Pid, "ipc": s.Ipc, "uts": s.Uts, "userns_mode": s.UserNSMode} {
		if mode == "host" {
			k.host = append(k.host, field{key, true, at + "/" + key})
		}
	}
	k.limits(s, at)
	k.composeMounts(s, at)
	for _, key := range slices.Sorted(maps.Keys(s.Environment)) {
		if v := s.Environment[key]; v != nil {
			k.env = append(k.env, variable{name: key, value: *v, at: environmentAt(d, at, key)})
		}
	}
	k.health(s, at)
	return k
}

// environmentAt is where a variable stands: environment is a list or a
// mapping.
func environmentAt(d *document, at, key string) string {
	_, env := descend(d, at+"/environment")
	for i, v := range array(env) {
		if name, _, _ := strings.Cut(text(v), "="); name == key {
			return fmt.Sprintf("%s/environment/%d", at, i)
		}
	}
	return at + "/environment/" + escape(key)
}

// descend follows a pointer through values.
func descend(d *document, pointer string) (bool, any) {
	v := d.value
	for _, part := range strings.Split(pointer, "/")[1:] {
		m := object(v)
		if m == nil {
			return false, nil
		}
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return v != nil, v
}

func (k *container) limits(s *compose.Service, at string) {
	k.memory = field{fmt.Sprint(s.Memory), s.Memory > 0, at + "/mem_limit"}
	k.cpu = field{fmt.Sprint(s.CPUs), s.CPUs > 0 || s.CPUQuota > 0, at + "/cpus"}
	k.processes = field{fmt.Sprint(s.Pids), s.Pids > 0, at + "/pids_limit"}
	if s.Limits == nil {
		return
	}
	l, where := s.Limits, at+"/deploy/resources/limits"
	if l.Memory > 0 {
		k.memory = field{fmt.Sprint(l.Memory), true, where + "/memory"}
	}
	if l.CPUs > 0 {
		k.cpu = field{fmt.Sprint(l.CPUs), true, where + "/cpus"}
	}
	if l.Pids > 0 {
		k.processes = field{fmt.Sprint(l.Pids), true, where + "/pids"}
	}
}

func (k *container) composeMounts(s *compose.Service, at string) {
	for i, t := range s.Tmpfs {
		target, options, _ := strings.Cut(t, ":")
		k.mounts = append(k.mounts, mount{kind: "tmpfs", target: target, options: options, bounded: strings.Contains(options, "size="), at: fmt.Sprintf("%s/tmpfs/%d", at, i)})
	}
	for i, v := range s.Volumes {
		m := mount{kind: v.Type, source: v.Source, target: v.Target, readOnly: v.ReadOnly, fixed: true, bounded: true, at: fmt.Sprintf("%s/volumes/%d", at, i)}
		if v.Type == "tmpfs" {
			m.bounded = v.TmpfsSize > 0
		}
		k.mounts = append(k.mounts, m)
	}
	if s.UseAPISocket {
		k.mounts = append(k.mounts, mount{kind: "bind", source: "/var/run/docker.sock", target: "/var/run/docker.sock", at: at + "/use_api_socket"})
	}
}

func (k *container) health(s *compose.Service, at string) {
	h := s.HealthCheck
	if h == nil {
		return
	}
	p := probe{name: "healthcheck", at: at + "/healthcheck/test", form: "exec"}
	switch {
	case h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE":
		p.form = "none"
	case len(h.Test) == 0:
		return // interval and the like; the image's own test stays
	case h.Test[0] == "CMD":
		p.argv = h.Test[1:]
	default:
		p.form, p.argv = "shell", h.Test
	}
	k.probes = append(k.probes, p)
}
