package workload

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	appsv1 "k8s.io/api/apps/v1"
)

// pod is a pod or the template of one.
type pod struct {
	doc  *document
	name string
	at   string // pointer of the pod spec
	meta metav1.ObjectMeta
	spec corev1.PodSpec
	role role
}

// kubernetes reads every object of every document, lists included.
func (f *file) kubernetes() error {
	for _, d := range f.docs {
		f.object(d, d.value, "", 0)
	}
	for _, p := range f.pods {
		f.pod(p)
	}
	return nil
}

func (f *file) object(d *document, v any, at string, depth int) {
	m := object(v)
	kind, version := text(m["kind"]), text(m["apiVersion"])
	if kind == "List" && depth < 4 {
		for i, item := range array(m["items"]) {
			f.object(d, item, fmt.Sprintf("%s/items/%d", at, i), depth+1)
		}
		return
	}
	name := kind + " " + text(object(m["metadata"])["name"])
	p := &pod{doc: d, name: shorten(name), role: main}
	var err error
	switch {
	case kind == "Pod" && version == "v1":
		var o corev1.Pod
		err = f.strict(m, &o, name)
		p.at, p.meta, p.spec = at+"/spec", o.ObjectMeta, o.Spec
	case kind == "CronJob" && strings.HasPrefix(version, "batch/"):
		var o batchv1.CronJob
		err = f.strict(m, &o, name)
		t := o.Spec.JobTemplate.Spec.Template
		p.at, p.meta, p.spec, p.role = at+"/spec/jobTemplate/spec/template/spec", t.ObjectMeta, t.Spec, batch
	case kind == "ReplicationController" && version == "v1":
		var o corev1.ReplicationController
		if err = f.strict(m, &o, name); err == nil && o.Spec.Template != nil {
			p.at, p.meta, p.spec = at+"/spec/template/spec", o.Spec.Template.ObjectMeta, o.Spec.Template.Spec
		}
	default:
		into, template, r := templated(kind, version)
		if into == nil {
			f.other(m, name)
			return
		}
		err = f.strict(m, into, name)
		t := template()
		p.at, p.meta, p.spec, p.role = at+"/spec/template/spec", t.ObjectMeta, t.Spec, r
	}
	if err != nil {
		f.notes = append(f.notes, fmt.Sprintf("%s is not judged: %v", shorten(name), err))
		return
	}
	f.pods = append(f.pods, p)
}

// templated returns an object to decode into and its pod template.
func templated(kind, version string) (any, func() corev1.PodTemplateSpec, role) {
	group, _, _ := strings.Cut(version, "/")
	switch {
	case group == "apps" && kind == "Deployment":
		o := &appsv1.Deployment{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }, main
	case group == "apps" && kind == "StatefulSet":
		o := &appsv1.StatefulSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }, main
	case group == "apps" && kind == "DaemonSet":
		o := &appsv1.DaemonSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }, main
	case group == "apps" && kind == "ReplicaSet":
		o := &appsv1.ReplicaSet{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }, main
	case group == "batch" && kind == "Job":
		o := &batchv1.Job{}
		return o, func() corev1.PodTemplateSpec { return o.Spec.Template }, batch
	}
	return nil, nil, ""
}

// strict decodes as an API server with strict validation does. What it would
// only warn of is noted, since a misspelled setting is no setting.
func (f *file) strict(m map[string]any, into any, name string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	unknown, err := kjson.UnmarshalStrict(data, into)
	for i, e := range unknown {
		if i == 20 {
			break
		}
		f.notes = append(f.notes, fmt.Sprintf("%s: %s", shorten(name), shorten(e.Error())))
	}
	return err
}

// other notes what is no workload; rules about the whole file read it.
func (f *file) other(m map[string]any, name string) {
	if object(object(object(m["spec"])["template"])["spec"])["containers"] != nil {
		f.notes = append(f.notes, shorten(name)+" has containers, and its kind is not known: render it to what it makes")
	}
}

// pod makes containers of a pod: what they do not say themselves, the pod says.
func (f *file) pod(p *pod) {
	for i := range p.spec.InitContainers {
		r := initial
		if policy := p.spec.InitContainers[i].RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
			r = main // a sidecar
		}
		f.containers = append(f.containers, p.container(&p.spec.InitContainers[i], r, fmt.Sprintf("%s/initContainers/%d", p.at, i)))
	}
	for i := range p.spec.Containers {
		f.containers = append(f.containers, p.container(&p.spec.Containers[i], p.role, fmt.Sprintf("%s/containers/%d", p.at, i)))
	}
	for i := range p.spec.EphemeralContainers {
		c := corev1.Container(p.spec.EphemeralContainers[i].EphemeralContainerCommon)
		f.containers = append(f.containers, p.container(&c, ephemeral, fmt.Sprintf("%s/ephemeralContainers/%d", p.at, i)))
	}
}

func (p *pod) container(c *corev1.Container, r role, at string) *container {
	k := &container{doc: p.doc, name: p.name + ", " + string(r) + " " + shorten(c.Name), role: r, at: at, na: map[string]string{}}
	k.image = field{c.Image, c.Image != "", at + "/image"}
	p.security(k, c, at+"/securityContext")
	p.namespaces(k)
	res := at + "/resources/limits"
	for name, f := range map[corev1.ResourceName]*field{corev1.ResourceMemory: &k.memory, corev1.ResourceCPU: &k.cpu, corev1.ResourceEphemeralStorage: &k.processes} {
		q, ok := c.Resources.Limits[name]
		*f = field{q.String(), ok && !q.IsZero(), res + "/" + string(name)}
	}
	if r == ephemeral {
		for _, id := range []string{"3.4q", "3.4r"} {
			k.na[id] = "ephemeral containers cannot have limits of their own"
		}
	}
	p.volumes(k, c, at)
	for i, e := range c.Env {
		v := variable{name: e.Name, value: e.Value, at: fmt.Sprintf("%s/env/%d", at, i)}
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			v.reference = "secretKeyRef"
		} else if e.ValueFrom != nil {
			v.reference = "field"
		}
		k.env = append(k.env, v)
	}
	for i, e := range c.EnvFrom {
		if e.SecretRef != nil {
			k.env = append(k.env, variable{name: e.SecretRef.Name, reference: "secretRef", at: fmt.Sprintf("%s/envFrom/%d", at, i)})
		}
	}
	k.token = field{"true", false, p.at + "/automountServiceAccountToken"}
	if t := p.spec.AutomountServiceAccountToken; t != nil {
		k.token.value, k.token.set = strconv.FormatBool(*t), true
	}
	if r == main {
		p.probes(k, c, at)
	} else {
		k.na["2.5q"] = "Kubernetes does not check the health of an " + string(r)
	}
	k.na["3.5t"] = "only ECS has task and execution roles"
	return k
}

func (p *pod) security(k *container, c *corev1.Container, at string) {
	own, all := c.SecurityContext, p.spec.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	if all == nil {
		all = &corev1.PodSecurityContext{}
	}
	k.user = field{at: at + "/runAsUser"}
	user, group, nonRoot := first(own.RunAsUser, all.RunAsUser), first(own.RunAsGroup, all.RunAsGroup), first(own.RunAsNonRoot, all.RunAsNonRoot)
	if own.RunAsUser == nil && all.RunAsUser != nil {
		k.user.at = p.at + "/securityContext/runAsUser"
	}
	if user != nil {
		k.user.value, k.user.set = strconv.FormatInt(*user, 10), true
		if group != nil {
			k.user.value += ":" + strconv.FormatInt(*group, 10)
		}
	}
	k.nonRoot = nonRoot != nil && *nonRoot
	k.readOnly = boolean(own.ReadOnlyRootFilesystem, at+"/readOnlyRootFilesystem")
	k.privileged = boolean(own.Privileged, at+"/privileged")
	k.escalation = boolean(own.AllowPrivilegeEscalation, at+"/allowPrivilegeEscalation")
	k.dropAll = field{at: at + "/capabilities/drop"}
	if own.Capabilities != nil {
		for _, d := range own.Capabilities.Drop {
			if strings.EqualFold(string(d), "ALL") {
				k.dropAll.value, k.dropAll.set = "ALL", true
			}
		}
		for i, a := range own.Capabilities.Add {
			k.added = append(k.added, field{string(a), true, fmt.Sprintf("%s/capabilities/add/%d", at, i)})
		}
	}
	k.seccomp = field{at: at + "/seccompProfile"}
	if s := first(own.SeccompProfile, all.SeccompProfile); s != nil {
		k.seccomp.value, k.seccomp.set = string(s.Type), true
		if own.SeccompProfile == nil {
			k.seccomp.at = p.at + "/securityContext/seccompProfile"
		}
	}
}

func first[T any](list ...*T) *T {
	for _, p := range list {
		if p != nil {
			return p
		}
	}
	return nil
}

func boolean(b *bool, at string) field {
	if b == nil {
		return field{at: at}
	}
	return field{strconv.FormatBool(*b), true, at}
}

func (p *pod) namespaces(k *container) {
	for name, on := range map[string]bool{"hostNetwork": p.spec.HostNetwork, "hostPID": p.spec.HostPID, "hostIPC": p.spec.HostIPC} {
		if on {
			k.host = append(k.host, field{name, true, p.at + "/" + name})
		}
	}
	slices.SortFunc(k.host, func(a, b field) int { return strings.Compare(a.value, b.value) })
}

func (p *pod) volumes(k *container, c *corev1.Container, at string) {
	volumes := map[string]int{}
	for i, v := range p.spec.Volumes {
		volumes[v.Name] = i
	}
	for i, vm := range c.VolumeMounts {
		index, ok := volumes[vm.Name]
		if !ok {
			continue // a claim template of a StatefulSet
		}
		v := p.spec.Volumes[index]
		m := mount{kind: "volume", target: vm.MountPath, readOnly: vm.ReadOnly, fixed: true, bounded: true, at: fmt.Sprintf("%s/volumeMounts/%d", at, i)}
		switch {
		case v.HostPath != nil:
			m.kind, m.source, m.at = "bind", v.HostPath.Path, fmt.Sprintf("%s/volumes/%d/hostPath", p.at, index)
		case v.EmptyDir != nil:
			m.kind, m.bounded, m.at = "tmpfs", v.EmptyDir.SizeLimit != nil && !v.EmptyDir.SizeLimit.IsZero(), fmt.Sprintf("%s/volumes/%d/emptyDir", p.at, index)
		}
		k.mounts = append(k.mounts, m)
	}
}

func (p *pod) probes(k *container, c *corev1.Container, at string) {
	for name, pr := range map[string]*corev1.Probe{"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe} {
		if pr == nil {
			continue
		}
		out := probe{name: name, form: "network", at: at + "/" + name}
		if pr.Exec != nil {
			out.form, out.argv, out.at = "exec", pr.Exec.Command, out.at+"/exec/command"
		}
		k.probes = append(k.probes, out)
	}
	slices.SortFunc(k.probes, func(a, b probe) int { return strings.Compare(a.name, b.name) })
}
