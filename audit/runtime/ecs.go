package runtime

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The names and their case are those of RegisterTaskDefinition's JSON.
type ecsTask struct {
	Family           string         `json:"family"`
	NetworkMode      string         `json:"networkMode"`
	Compatibilities  []string       `json:"requiresCompatibilities"`
	Platform         *ecsPlatform   `json:"runtimePlatform,omitempty"`
	CPU              string         `json:"cpu,omitempty"`
	Memory           string         `json:"memory,omitempty"`
	ExecutionRoleArn string         `json:"executionRoleArn"`
	TaskRoleArn      string         `json:"taskRoleArn"`
	Containers       []ecsContainer `json:"containerDefinitions"`
	Volumes          []ecsVolume    `json:"volumes,omitempty"`
}

type ecsPlatform struct {
	CPU string `json:"cpuArchitecture"`
	OS  string `json:"operatingSystemFamily"`
}

type ecsContainer struct {
	Name        string     `json:"name"`
	Image       string     `json:"image"`
	Essential   bool       `json:"essential"`
	User        string     `json:"user"`
	ReadOnly    bool       `json:"readonlyRootFilesystem"`
	CPU         int        `json:"cpu,omitempty"`
	Memory      int        `json:"memory"`
	Ports       []ecsPort  `json:"portMappings,omitempty"`
	Linux       ecsLinux   `json:"linuxParameters"`
	Security    []string   `json:"dockerSecurityOptions,omitempty"`
	Ulimits     []ecsLimit `json:"ulimits"`
	Health      ecsHealth  `json:"healthCheck"`
	Environment []ecsValue `json:"environment"`
	Mounts      []ecsMount `json:"mountPoints,omitempty"`
	Log         ecsLog     `json:"logConfiguration"`
}

type ecsPort struct {
	Port int `json:"containerPort"`
}

type ecsLinux struct {
	Capabilities struct {
		Drop []string `json:"drop"`
	} `json:"capabilities"`
	Init    bool       `json:"initProcessEnabled"`
	Tmpfs   []ecsTmpfs `json:"tmpfs,omitempty"`
	MaxSwap *int       `json:"maxSwap,omitempty"`
}

type ecsTmpfs struct {
	Path    string   `json:"containerPath"`
	Size    int      `json:"size"` // MiB
	Options []string `json:"mountOptions"`
}

type ecsLimit struct {
	Name string `json:"name"`
	Soft int    `json:"softLimit"`
	Hard int    `json:"hardLimit"`
}

type ecsHealth struct {
	Command     []string `json:"command"`
	Interval    int      `json:"interval"`
	Timeout     int      `json:"timeout"`
	Retries     int      `json:"retries"`
	StartPeriod int      `json:"startPeriod"`
}

type ecsValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type ecsMount struct {
	Volume string `json:"sourceVolume"`
	Path   string `json:"containerPath"`
}

type ecsVolume struct {
	Name string `json:"name"`
}

type ecsLog struct {
	Driver  string            `json:"logDriver"`
	Options map[string]string `json:"options"`
}

// ECS writes a task definition for Fargate or EC2. The roles stand in it as
// names to replace. Fargate's volumes belong to root: a directory that the
// application writes to has to exist in the image with its owner; EC2 has
// tmpfs and no-new-privileges.
func ECS(p Profile) ([]byte, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	t := ecsTask{
		Family: p.Name, NetworkMode: "awsvpc",
		ExecutionRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-execution", TaskRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-task",
	}
	if a := platforms[p.Platform]; a.ecs != "" {
		t.Platform = &ecsPlatform{a.ecs, "LINUX"}
	}
	c := p.ecsContainer()
	if p.EC2 {
		p.onEC2(&t, &c)
	} else if err := p.onFargate(&t, &c); err != nil {
		return nil, err
	}
	t.Containers = []ecsContainer{c}
	data, err := json.MarshalIndent(t, "", "  ")
	return append(data, '\n'), err
}

// ecsContainer is what both kinds of task have.
func (p Profile) ecsContainer() ecsContainer {
	region := p.Region
	if region == "" {
		region = "REGION"
	}
	c := ecsContainer{
		Name: p.Name, Image: p.Reference, Essential: true, User: p.User, ReadOnly: true, Memory: p.MemoryMiB,
		Ulimits:     []ecsLimit{{"nofile", 1024, 1024}},
		Health:      ecsHealth{Command: append([]string{"CMD"}, p.Check...), Interval: 10, Timeout: 5, Retries: 3, StartPeriod: 10},
		Environment: []ecsValue{{"GOMEMLIMIT", p.goMemory()}},
		// Alarms of decoys travel in the log, so the buffer of what could not be
		// handed over yet is large.
		Log: ecsLog{"awslogs", map[string]string{
			"awslogs-group": "/ecs/" + p.Name, "awslogs-region": region, "awslogs-stream-prefix": p.Name, "mode": "non-blocking", "max-buffer-size": "25m",
		}},
	}
	c.Linux.Capabilities.Drop = []string{"ALL"}
	if p.Port != 0 {
		c.Ports = []ecsPort{{p.Port}}
	}
	return c
}

func (p Profile) onEC2(t *ecsTask, c *ecsContainer) {
	t.Compatibilities = []string{"EC2"}
	c.CPU, c.Security, c.Linux.MaxSwap = max(1, p.MilliCPU*1024/1000), []string{"no-new-privileges"}, new(int)
	for _, dir := range p.Tmpfs {
		c.Linux.Tmpfs = append(c.Linux.Tmpfs, ecsTmpfs{dir, 16, []string{"rw", "noexec", "nosuid", "nodev"}})
	}
}

func (p Profile) onFargate(t *ecsTask, c *ecsContainer) error {
	cpu, memory, err := fargateSize(p.MilliCPU*1024/1000, p.MemoryMiB)
	if err != nil {
		return err
	}
	t.Compatibilities, t.CPU, t.Memory = []string{"FARGATE"}, strconv.Itoa(cpu), strconv.Itoa(memory)
	for i, dir := range p.Tmpfs {
		name := "tmp-" + strconv.Itoa(i)
		c.Mounts, t.Volumes = append(c.Mounts, ecsMount{name, dir}), append(t.Volumes, ecsVolume{name})
	}
	return nil
}

// fargateSizes are the sizes of tasks on Fargate: processor units, least and
// most memory and the step between, in MiB.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
var fargateSizes = []struct{ cpu, from, to, step int }{
	{256, 512, 512, 512}, {256, 1024, 2048, 1024}, {512, 1024, 4096, 1024}, {1024, 2048, 8192, 1024}, {2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024}, {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192},
}

// fargateSize is the smallest size of a task that the limits fit in. Fargate
// refuses every other.
func fargateSize(cpu, memory int) (int, int, error) {
	for _, s := range fargateSizes {
		if cpu > s.cpu || memory > s.to {
			continue
		}
		size := s.from
		if memory > size {
			size += (memory - size + s.step - 1) / s.step * s.step
		}
		return s.cpu, size, nil
	}
	return 0, 0, fmt.Errorf("no size of Fargate has %d processor units and %d MiB", cpu, memory)
}
