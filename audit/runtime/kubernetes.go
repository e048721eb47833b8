package runtime

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name      string            `yaml:"name,omitempty"`
	Namespace string            `yaml:"namespace,omitempty"`
	Labels    map[string]string `yaml:"labels,omitempty"`
}

type deploymentSpec struct {
	Replicas int `yaml:"replicas"`
	Selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	} `yaml:"selector"`
	Template struct {
		Metadata metadata `yaml:"metadata"`
		Spec     podSpec  `yaml:"spec"`
	} `yaml:"template"`
}

type podSpec struct {
	AutomountToken  bool         `yaml:"automountServiceAccountToken"`
	ServiceLinks    bool         `yaml:"enableServiceLinks"`
	SecurityContext podSecurity  `yaml:"securityContext"`
	Containers      []kContainer `yaml:"containers"`
	Volumes         []kVolume    `yaml:"volumes,omitempty"`
}

type podSecurity struct {
	NonRoot bool              `yaml:"runAsNonRoot"`
	User    int               `yaml:"runAsUser"`
	Group   int               `yaml:"runAsGroup"`
	FSGroup int               `yaml:"fsGroup"`
	Seccomp map[string]string `yaml:"seccompProfile"`
}

type kContainer struct {
	Name      string    `yaml:"name"`
	Image     string    `yaml:"image"`
	Ports     []kPort   `yaml:"ports,omitempty"`
	Env       []kEnv    `yaml:"env,omitempty"`
	Resources resources `yaml:"resources"`
	Security  kSecurity `yaml:"securityContext"`
	Startup   *kProbe   `yaml:"startupProbe,omitempty"`
	Readiness *kProbe   `yaml:"readinessProbe,omitempty"`
	Liveness  *kProbe   `yaml:"livenessProbe,omitempty"`
	Mounts    []kMount  `yaml:"volumeMounts,omitempty"`
}

type kPort struct {
	Name     string `yaml:"name"`
	Number   int    `yaml:"containerPort"`
	Protocol string `yaml:"protocol"`
}

type kEnv struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

type resources struct {
	Requests map[string]string `yaml:"requests"`
	Limits   map[string]string `yaml:"limits"`
}

type kSecurity struct {
	Escalation   bool                `yaml:"allowPrivilegeEscalation"`
	ReadOnly     bool                `yaml:"readOnlyRootFilesystem"`
	Privileged   bool                `yaml:"privileged"`
	Capabilities map[string][]string `yaml:"capabilities"`
}

type kProbe struct {
	Exec     *kExec    `yaml:"exec,omitempty"`
	HTTPGet  *kHTTPGet `yaml:"httpGet,omitempty"`
	Period   int       `yaml:"periodSeconds"`
	Timeout  int       `yaml:"timeoutSeconds"`
	Failures int       `yaml:"failureThreshold"`
}

type kExec struct {
	Command []string `yaml:"command,flow"`
}

type kHTTPGet struct {
	Path string `yaml:"path"`
	Port int    `yaml:"port"`
}

type kMount struct {
	Name string `yaml:"name"`
	Path string `yaml:"mountPath"`
}

type kVolume struct {
	Name     string    `yaml:"name"`
	EmptyDir kEmptyDir `yaml:"emptyDir"`
}

type kEmptyDir struct {
	Medium string `yaml:"medium"`
	Limit  string `yaml:"sizeLimit"`
}

type serviceSpec struct {
	Selector map[string]string `yaml:"selector"`
	Ports    []servicePort     `yaml:"ports"`
}

type servicePort struct {
	Name     string `yaml:"name"`
	Port     int    `yaml:"port"`
	Target   string `yaml:"targetPort"`
	Protocol string `yaml:"protocol"`
}

// Kubernetes writes a Deployment, and a Service where there are ports.
func Kubernetes(img Image, o Options) ([]byte, error) {
	p, err := prepare(img, o)
	if err == nil {
		err = p.pinned()
	}
	if err == nil && p.HTTPGet != "" && (len(p.Ports) == 0 || !strings.HasPrefix(p.HTTPGet, "/")) {
		err = errors.New("--http-get needs a path that begins with / and a port: the image exposes none, give --port")
	}
	if err != nil {
		return nil, err
	}
	labels := map[string]string{"app.kubernetes.io/name": p.Name}
	meta := metadata{p.Name, p.Namespace, labels}
	spec := deploymentSpec{Replicas: p.Replicas}
	spec.Selector.MatchLabels, spec.Template.Metadata.Labels = labels, labels
	spec.Template.Spec = p.pod()
	documents := []any{object{"apps/v1", "Deployment", meta, spec}}
	if len(p.Ports) > 0 {
		service := serviceSpec{Selector: labels}
		for _, port := range p.Ports {
			service.Ports = append(service.Ports, servicePort{portName(port), port.Number, portName(port), strings.ToUpper(port.Protocol)})
		}
		documents = append(documents, object{"v1", "Service", meta, service})
	}
	return toYAML(documents...)
}

func portName(p Port) string { return fmt.Sprintf("%s-%d", p.Protocol, p.Number) }

func (p *plan) pod() podSpec {
	c := kContainer{
		Name: p.Name, Image: p.image.Reference, Resources: p.resources(),
		Security: kSecurity{ReadOnly: true, Capabilities: map[string][]string{"drop": {"ALL"}}},
	}
	pod := podSpec{SecurityContext: podSecurity{
		NonRoot: true, User: p.image.UID, Group: p.image.GID, FSGroup: p.image.GID, Seccomp: map[string]string{"type": "RuntimeDefault"},
	}}
	for _, port := range p.Ports {
		c.Ports = append(c.Ports, kPort{portName(port), port.Number, strings.ToUpper(port.Protocol)})
	}
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		c.Env = append(c.Env, kEnv{name, strings.ReplaceAll(value, "$(", "$$(")}) // $(NAME) would be expanded
	}
	for i, dir := range p.Writable {
		name := "writable-" + strconv.Itoa(i+1)
		c.Mounts = append(c.Mounts, kMount{name, dir})
		pod.Volumes = append(pod.Volumes, kVolume{name, kEmptyDir{"Memory", strconv.FormatInt(p.WritableSize, 10)}})
	}
	c.Startup, c.Readiness, c.Liveness = p.probe(2, 30), p.probe(10, 2), p.probe(10, 3)
	pod.Containers = []kContainer{c}
	return pod
}

func (p *plan) resources() resources {
	memory := strconv.FormatInt(p.Memory, 10)
	const storage = "64Mi" // of logs; nothing else can be written
	return resources{
		Requests: map[string]string{"cpu": fmt.Sprintf("%dm", max(p.CPU/5, 1)), "memory": memory, "ephemeral-storage": storage},
		Limits:   map[string]string{"cpu": fmt.Sprintf("%dm", p.CPU), "memory": memory, "ephemeral-storage": storage},
	}
}

// probe asks from inside the container, which also works where a mesh takes
// the port and demands certificates.
func (p *plan) probe(period, failures int) *kProbe {
	k := &kProbe{Period: period, Timeout: 4, Failures: failures}
	switch {
	case p.HTTPGet != "":
		k.HTTPGet = &kHTTPGet{p.HTTPGet, p.Ports[0].Number}
	case len(p.health) > 0:
		k.Exec = &kExec{p.health}
	default:
		return nil
	}
	return k
}
