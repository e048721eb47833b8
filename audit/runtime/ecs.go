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
	cpu, memory, err := fargateSize(p.MilliCPU*1024/1000, p.MemoryMiB)
	if err != nil {
		return nil, err
	}
	t := ecsTask{
		Family: p.Name, NetworkMode: "awsvpc", Compatibilities: []string{"FARGATE"}, CPU: strconv.Itoa(cpu), Memory: strconv.Itoa(memory),
		ExecutionRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-execution", TaskRoleArn: "arn:aws:iam::ACCOUNT:role/" + p.Name + "-task",
	}
	for i, dir := range p.Tmpfs {
		name := "tmp-" + string(rune('a'+i%26))
		c.Mounts, t.Volumes = append(c.Mounts, ecsMount{name, dir}), append(t.Volumes, ecsVolume{name})
	}
	t.Containers = []ecsContainer{c}
	data, err := json.MarshalIndent(t, "", "  ")
	return append(data, '\n'), err
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
