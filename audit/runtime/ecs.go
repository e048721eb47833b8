package runtime

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
}
