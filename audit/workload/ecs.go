package workload

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Only what the rules read. Names are those of the API; Amazon's other tools
// write them with another case, so keys are folded before.
type task struct {
	Family                  string
	ExecutionRoleArn        any
	TaskRoleArn             any
	NetworkMode             string
	PidMode                 string
	IpcMode                 string
	CPU                     any
	Memory                  any
	RequiresCompatibilities []string
	ContainerDefinitions    []definition
	Volumes                 []taskVolume
}

type definition struct {
	Name                   string
	Image                  any
	User                   string
	CPU                    any
	Memory                 any
	Essential              *bool
	Privileged             any
	ReadonlyRootFilesystem any
	DockerSecurityOptions  []string
	Environment            []struct{ Name, Value any }
	Secrets                []struct{ Name string }
	EnvironmentFiles       []any
	HealthCheck            *struct{ Command []string }
	LinuxParameters        *struct {
		Capabilities *struct{ Add, Drop []string }
		Tmpfs        []struct {
			ContainerPath string
			Size          any
			MountOptions  []string
		}
	}
	MountPoints []struct {
		SourceVolume  string
		ContainerPath string
		ReadOnly      any
	}
}

type taskVolume struct {
	Name                   string
	Host                   *struct{ SourcePath string }
	EfsVolumeConfiguration *struct{ TransitEncryption string }
}

// ecs reads what register-task-definition takes, what describe-task-definition
// prints, a bare list of containers, and the resources of a CloudFormation
// template.
func (f *file) ecs() error {
	for _, d := range f.docs {
		if list, ok := d.value.([]any); ok {
			if err := f.task(d, map[string]any{"containerDefinitions": list}, "", ""); err != nil {
				return err
			}
			continue
		}
		m := object(d.value)
		switch {
		case m["taskDefinition"] != nil:
			if err := f.task(d, m["taskDefinition"], "/taskDefinition", "/taskDefinition"); err != nil {
				return err
			}
		case m["Resources"] != nil:
			if err := f.template(d, object(m["Resources"])); err != nil {
				return err
			}
		case m["containerDefinitions"] != nil || m["ContainerDefinitions"] != nil:
			if err := f.task(d, m, "", ""); err != nil {
				return err
			}
		}
	}
	if len(f.containers) == 0 {
		return errors.New("no container definition in it")
	}
	return nil
}

// template reads the task definitions of a CloudFormation template.
func (f *file) template(d *document, resources map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		r := object(resources[name])
		if text(r["Type"]) != "AWS::ECS::TaskDefinition" {
			continue
		}
		if err := f.task(d, r["Properties"], "/Resources/"+escape(name)+"/Properties", name); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) task(d *document, v any, at, name string) error {
	var t task
	if err := decode(plain(v), &t); err != nil {
		return fmt.Errorf("task definition: %w", err)
	}
	list := "containerDefinitions"
	if at == "" && object(v)["ContainerDefinitions"] != nil || strings.HasPrefix(at, "/Resources") {
		list = "ContainerDefinitions"
	}
	if _, bare := d.value.([]any); bare {
		list = ""
	}
	for i := range t.ContainerDefinitions {
		where := fmt.Sprintf("%s/%s/%d", at, list, i)
		if list == "" {
			where = fmt.Sprintf("/%d", i)
		}
		key := func(k string) string { return where + "/" + spelled(d, where, k) }
		f.containers = append(f.containers, t.container(d, &t.ContainerDefinitions[i], at, where, key))
	}
	return nil
}

// plain writes booleans and numbers that CloudFormation has as texts, and
// functions such as Ref as variables, so that they are unknown and not wrong.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 {
			for k := range v {
				if k == "Ref" || strings.HasPrefix(k, "Fn::") {
					return "${" + k + "}"
				}
			}
		}
		m := map[string]any{}
		for k, x := range v {
			m[k] = plain(x)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = plain(x)
		}
		return list
	}
	return v
}

// spelled is a key as the document writes it, or as the API does.
func spelled(d *document, at, key string) string {
	v := d.value
	for _, part := range strings.Split(at, "/")[1:] {
		if list := array(v); list != nil {
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(list) {
				return key
			}
			v = list[i]
			continue
		}
		v = object(v)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	for k := range object(v) {
		if strings.EqualFold(k, key) {
			return k
		}
	}
	return key
}

const fargate = "Fargate does not have this setting"

func (t *task) container(d *document, c *definition, taskAt, at string, key func(string) string) *container {
	name := "task"
	if t.Family != "" {
		name = "task " + t.Family
	}
	k := &container{doc: d, name: shorten(name) + ", container " + shorten(c.Name), role: main, at: at, na: map[string]string{}}
	onFargate := slices.ContainsFunc(t.RequiresCompatibilities, func(s string) bool { return strings.EqualFold(s, "FARGATE") })
	k.image = set(c.Image, key("image"))
	k.user = set(c.User, key("user"))
	k.readOnly = set(c.ReadonlyRootFilesystem, key("readonlyRootFilesystem"))
	k.privileged = set(c.Privileged, key("privileged"))
	k.securityOptions(c.DockerSecurityOptions, key("dockerSecurityOptions"), k.privileged.value == "true")
	params := key("linuxParameters")
	if p := c.LinuxParameters; p != nil && p.Capabilities != nil {
		k.capabilities(p.Capabilities.Drop, p.Capabilities.Add, params+"/capabilities/drop", params+"/capabilities/add")
	} else {
		k.capabilities(nil, nil, params, params)
	}
	if onFargate {
		k.na["3.3s"] = fargate + ": dockerSecurityOptions"
		k.na["3.3t"] = fargate + ": dockerSecurityOptions"
	}
	for mode, value := range map[string]string{"networkMode": t.NetworkMode, "pidMode": t.PidMode, "ipcMode": t.IpcMode} {
		if value == "host" {
			k.host = append(k.host, field{mode, true, taskAt + "/" + mode})
		}
	}
	k.memory, k.cpu = limit(c.Memory, key("memory")), limit(c.CPU, key("cpu"))
	if onFargate || t.Memory != nil {
		if !k.memory.set && t.Memory != nil {
			k.memory = limit(t.Memory, taskAt+"/memory")
		}
		if (!k.cpu.set || k.cpu.value == "0") && t.CPU != nil {
			k.cpu = limit(t.CPU, taskAt+"/cpu")
		}
	}
	k.na["3.4r"] = "a task definition has no limit of processes"
	k.taskMounts(t, c, params, key("mountPoints"), taskAt+"/"+spelled(d, taskAt, "volumes"))
	for i, e := range c.Environment {
		k.env = append(k.env, variable{name: text(e.Name), value: text(e.Value), at: fmt.Sprintf("%s/%d", key("environment"), i)})
	}
	for i, s := range c.Secrets {
		k.env = append(k.env, variable{name: s.Name, reference: "secrets", at: fmt.Sprintf("%s/%d", key("secrets"), i)})
	}
	if h := c.HealthCheck; h != nil && len(h.Command) > 0 {
		p := probe{name: "healthCheck", form: "exec", at: key("healthCheck"), argv: h.Command}
		switch h.Command[0] {
		case "CMD":
			p.argv = h.Command[1:]
		case "CMD-SHELL":
			p.form = "shell"
		case "NONE":
			p.form = "none"
		}
		k.probes = append(k.probes, p)
	}
	if c.Essential != nil && !*c.Essential {
		k.na["2.5q"] = "the container is not essential: the task goes on without it"
	}
	k.taskRoles(t, taskAt)
	return k
}

func (k *container) taskRoles(t *task, at string) {
	k.roles = field{at: at + "/taskRoleArn"}
	execution, own := text(t.ExecutionRoleArn), text(t.TaskRoleArn)
	switch {
	case own == "":
		k.roles.value = "none"
	case own == execution && !strings.Contains(own, "${"):
		k.roles.value, k.roles.set = "same", true
	default:
		k.roles.value, k.roles.set = "own", true
	}
}

func set(v any, at string) field {
	s := text(v)
	return field{s, s != "", at}
}

// limit is set for a number that limits anything: ECS takes 32-bit integers,
// and a larger one, like one below zero, is a mistake and no limit.
func limit(v any, at string) field {
	f := set(v, at)
	if n, err := strconv.ParseFloat(f.value, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && !(n >= 0 && n <= math.MaxInt32) {
		f.set = false
	}
	return f
}

func (k *container) taskMounts(t *task, c *definition, params, points, volumes string) {
	if p := c.LinuxParameters; p != nil {
		for i, m := range p.Tmpfs {
			k.mounts = append(k.mounts, mount{kind: "tmpfs", target: m.ContainerPath, options: strings.Join(m.MountOptions, ","), bounded: text(m.Size) != "", at: fmt.Sprintf("%s/tmpfs/%d", params, i)})
		}
	}
	for i, m := range c.MountPoints {
		out := mount{kind: "volume", source: m.SourceVolume, target: m.ContainerPath, readOnly: text(m.ReadOnly) == "true", fixed: true, bounded: true, at: fmt.Sprintf("%s/%d", points, i)}
		for j, v := range t.Volumes {
			if v.Name != m.SourceVolume {
				continue
			}
			if v.Host != nil && v.Host.SourcePath != "" {
				out.kind, out.source, out.at = "bind", v.Host.SourcePath, fmt.Sprintf("%s/%d/host", volumes, j)
			}
			if e := v.EfsVolumeConfiguration; e != nil && !strings.EqualFold(e.TransitEncryption, "ENABLED") {
				out.kind = "nfs"
			}
		}
		k.mounts = append(k.mounts, out)
	}
}
