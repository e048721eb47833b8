package runtime

<<<<<<< HEAD
import "encoding/json"

// The names and their case are those of RegisterTaskDefinition's JSON.
type ecsTask struct {
	Family           string         `json:"family"`
	NetworkMode      string         `json:"networkMode"`
	Compatibilities  []string       `json:"requiresCompatibilities"`
	CPU              string         `json:"cpu"`
	Memory           string         `json:"memory"`
	ExecutionRoleArn string         `json:"executionRoleArn"`
	TaskRoleArn      string         `json:"taskRoleArn"`
	Containers       []ecsContainer `json:"containerDefinitions"`
	Volumes          []ecsVolume    `json:"volumes,omitempty"`
}

type ecsContainer struct {
	Name        string     `json:"name"`
	Image       string     `json:"image"`
	Essential   bool       `json:"essential"`
	User        string     `json:"user"`
	ReadOnly    bool       `json:"readonlyRootFilesystem"`
	Memory      int        `json:"memory"`
	Ports       []ecsPort  `json:"portMappings,omitempty"`
	Linux       ecsLinux   `json:"linuxParameters"`
	Health      ecsHealth  `json:"healthCheck"`
	Environment []ecsValue `json:"environment"`
	Mounts      []ecsMount `json:"mountPoints,omitempty"`
}

type ecsPort struct {
	Port int `json:"containerPort"`
}

type ecsLinux struct {
	Capabilities struct {
		Drop []string `json:"drop"`
	} `json:"capabilities"`
	Init bool `json:"initProcessEnabled"`
}

type ecsHealth struct {
	Command  []string `json:"command"`
	Interval int      `json:"interval"`
	Timeout  int      `json:"timeout"`
	Retries  int      `json:"retries"`
}

type ecsValue struct {
=======
import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The names are those of the API. Amazon's own structures write them with
// another case, and null where nothing is set.
type taskDefinition struct {
	Family          string          `json:"family"`
	Compatibilities []string        `json:"requiresCompatibilities"`
	NetworkMode     string          `json:"networkMode"`
	CPU             string          `json:"cpu"`
	Memory          string          `json:"memory"`
	ExecutionRole   string          `json:"executionRoleArn,omitempty"`
	TaskRole        string          `json:"taskRoleArn,omitempty"`
	Platform        runtimePlatform `json:"runtimePlatform"`
	Containers      []taskContainer `json:"containerDefinitions"`
}

type runtimePlatform struct {
	Architecture string `json:"cpuArchitecture"`
	System       string `json:"operatingSystemFamily"`
}

type taskContainer struct {
	Name        string       `json:"name"`
	Image       string       `json:"image"`
	Essential   bool         `json:"essential"`
	User        string       `json:"user"`
	ReadOnly    bool         `json:"readonlyRootFilesystem"`
	Privileged  *bool        `json:"privileged,omitempty"`
	CPU         int          `json:"cpu"`
	Memory      int64        `json:"memory"`
	Linux       linux        `json:"linuxParameters"`
	Options     []string     `json:"dockerSecurityOptions,omitempty"`
	Ports       []taskPort   `json:"portMappings,omitempty"`
	Env         []taskEnv    `json:"environment"`
	Health      *taskHealth  `json:"healthCheck,omitempty"`
	Ulimits     []taskUlimit `json:"ulimits"`
	StopTimeout int          `json:"stopTimeout"`
	Log         *taskLog     `json:"logConfiguration,omitempty"`
}

type linux struct {
	Capabilities struct {
		Drop []string `json:"drop"`
	} `json:"capabilities"`
	Tmpfs []taskTmpfs `json:"tmpfs,omitempty"`
}

type taskTmpfs struct {
	Path    string   `json:"containerPath"`
	Size    int64    `json:"size"` // MiB
	Options []string `json:"mountOptions"`
}

type taskPort struct {
	Port     int    `json:"containerPort"`
	Protocol string `json:"protocol"`
}

type taskEnv struct {
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
	Name  string `json:"name"`
	Value string `json:"value"`
}

<<<<<<< HEAD
type ecsMount struct {
	Volume string `json:"sourceVolume"`
	Path   string `json:"containerPath"`
}

type ecsVolume struct {
	Name string `json:"name"`
}

// ECS writes a task definition for Fargate. The roles stand in it as names to
// replace. Fargate's volumes belong to root: a directory that the application
// writes to has to exist in the image with its owner.
func ECS(p Profile) ([]byte, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	c := ecsContainer{
		Name: p.Name, Image: p.Reference, Essential: true, User: p.User, ReadOnly: true, Memory: p.MemoryMiB,
		Health:      ecsHealth{Command: append([]string{"CMD"}, p.Check...), Interval: 10, Timeout: 5, Retries: 3},
		Environment: []ecsValue{{"GOMEMLIMIT", p.goMemory()}},
	}
	c.Linux.Capabilities.Drop = []string{"ALL"}
	if p.Port != 0 {
		c.Ports = []ecsPort{{p.Port}}
	}
	t := ecsTask{
		Family: p.Name, NetworkMode: "awsvpc", Compatibilities: []string{"FARGATE"}, CPU: "256", Memory: "512",
		ExecutionRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-execution", TaskRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-task",
	}
	for i, dir := range p.Tmpfs {
		name := "tmp-" + string(rune('a'+i%26))
		c.Mounts, t.Volumes = append(c.Mounts, ecsMount{name, dir}), append(t.Volumes, ecsVolume{name})
	}
	t.Containers = []ecsContainer{c}
	data, err := json.MarshalIndent(t, "", "  ")
	return append(data, '\n'), err
=======
type taskHealth struct {
	Command  []string `json:"command"`
	Interval int      `json:"interval"`
	Timeout  int      `json:"timeout"`
	Retries  int      `json:"retries"`
	Start    int      `json:"startPeriod"`
}

type taskUlimit struct {
	Name string `json:"name"`
	Soft int    `json:"softLimit"`
	Hard int    `json:"hardLimit"`
}

type taskLog struct {
	Driver  string            `json:"logDriver"`
	Options map[string]string `json:"options"`
}

// ECS writes a task definition as aws ecs register-task-definition takes it,
// for Fargate or EC2. Fargate has neither security options nor tmpfs, and its
// volumes belong to root, so nothing is writable there.
func ECS(img Image, o Options) ([]byte, error) {
	p, err := prepare(img, o)
	if err == nil {
		err = p.pinned()
	}
	if err != nil {
		return nil, err
	}
	if (o.LogGroup == "") != (o.Region == "") {
		return nil, fmt.Errorf("a log group needs a region: give --log-group and --region together")
	}
	if o.TaskRole != "" && o.TaskRole == o.ExecutionRole {
		return nil, fmt.Errorf("the task's role must not be the execution role, which reads images and secrets for the agent")
	}
	t := taskDefinition{
		Family: p.Name, NetworkMode: "awsvpc", ExecutionRole: o.ExecutionRole, TaskRole: o.TaskRole,
		Platform: runtimePlatform{"X86_64", "LINUX"},
	}
	if img.Architecture == "arm64" {
		t.Platform.Architecture = "ARM64"
	}
	if err := p.taskSize(&t); err != nil {
		return nil, err
	}
	t.Containers = []taskContainer{p.taskContainer()}
	return toJSON(t)
}

func (p *plan) taskContainer() taskContainer {
	no := false
	c := taskContainer{
		Name: p.Name, Image: p.image.Reference, Essential: true, User: fmt.Sprintf("%d:%d", p.image.UID, p.image.GID), ReadOnly: true,
		CPU: p.CPU * 1024 / 1000, Memory: mebibytes(p.Memory), StopTimeout: 30,
		Ulimits: []taskUlimit{{"nofile", 1024, 1024}},
	}
	c.Linux.Capabilities.Drop = []string{"ALL"}
	if p.EC2 {
		c.Privileged = &no
		c.Options = []string{"no-new-privileges"}
		for _, dir := range p.Writable {
			c.Linux.Tmpfs = append(c.Linux.Tmpfs, taskTmpfs{dir, mebibytes(p.WritableSize), []string{"rw", "noexec", "nosuid", "nodev"}})
		}
	}
	for _, port := range p.Ports {
		c.Ports = append(c.Ports, taskPort{port.Number, port.Protocol})
	}
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		c.Env = append(c.Env, taskEnv{name, value})
	}
	if len(p.health) > 0 {
		c.Health = &taskHealth{Command: append([]string{"CMD"}, p.health...), Interval: 10, Timeout: 5, Retries: 3, Start: 10}
	}
	if p.LogGroup != "" {
		c.Log = &taskLog{"awslogs", map[string]string{"awslogs-group": p.LogGroup, "awslogs-region": p.Region, "awslogs-stream-prefix": p.Name}}
	}
	return c
}

func mebibytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

// fargateSizes are the sizes of tasks on Fargate: processor units, least and
// most memory and the step between, in MiB.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
var fargateSizes = []struct{ cpu, from, to, step int64 }{
	{256, 512, 512, 512}, {256, 1024, 2048, 1024}, {512, 1024, 4096, 1024}, {1024, 2048, 8192, 1024}, {2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024}, {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192},
}

// taskSize is the smallest size that the container's limits fit in.
func (p *plan) taskSize(t *taskDefinition) error {
	cpu, memory := int64(p.CPU)*1024/1000, mebibytes(p.Memory)
	if p.EC2 {
		t.Compatibilities, t.CPU, t.Memory = []string{"EC2"}, strconv.FormatInt(max(cpu, 128), 10), strconv.FormatInt(memory, 10)
		return nil
	}
	t.Compatibilities = []string{"FARGATE"}
	for _, s := range fargateSizes {
		if cpu > s.cpu || memory > s.to {
			continue
		}
		size := s.from
		if memory > size {
			size += (memory - size + s.step - 1) / s.step * s.step
		}
		t.CPU, t.Memory = strconv.FormatInt(s.cpu, 10), strconv.FormatInt(size, 10)
		return nil
	}
	return fmt.Errorf("no size of Fargate has %d processor units and %d MiB", cpu, memory)
}

func toJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return out.Bytes(), nil
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
}
