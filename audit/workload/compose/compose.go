// Package compose holds what the rules need to know of a Compose file, and the
// question that gets it: nouns only. The library that reads Compose takes
// milliseconds before main runs, so package composefile has it, which another
// executable may hold.
package compose

import "context"

// Request is a Compose file whose YAML was read already.
type Request struct {
	Name  string            `json:"name"`
	Model map[string]any    `json:"model"` // the document; it is not changed
	Env   map[string]string `json:"env,omitempty"`
	// Keep leaves variables that Env does not have as they are written.
	Keep bool `json:"keep,omitempty"`
	// Interpolate puts variables in place.
	Interpolate bool `json:"interpolate,omitempty"`
}

// Reader answers a request. An error is about the file, or says that nobody
// could read it.
type Reader func(context.Context, Request) (Project, error)

// UnavailableError says that nobody could read Compose files, and so nothing
// about the one that was asked for.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }

func (e *UnavailableError) Unwrap() error { return e.Err }

// Project is what a file comes to, with short forms and extensions in place.
type Project struct {
	Services map[string]Service `json:"services,omitempty"`
}

// Service is one service. Sizes are in bytes.
type Service struct {
	Image        string             `json:"image,omitempty"`
	Built        bool               `json:"built,omitempty"`
	User         string             `json:"user,omitempty"`
	ReadOnly     bool               `json:"readOnly,omitempty"`
	Privileged   bool               `json:"privileged,omitempty"`
	CapDrop      []string           `json:"capDrop,omitempty"`
	CapAdd       []string           `json:"capAdd,omitempty"`
	SecurityOpt  []string           `json:"securityOpt,omitempty"`
	NetworkMode  string             `json:"networkMode,omitempty"`
	Pid          string             `json:"pid,omitempty"`
	Ipc          string             `json:"ipc,omitempty"`
	Uts          string             `json:"uts,omitempty"`
	UserNSMode   string             `json:"userNSMode,omitempty"`
	Environment  map[string]*string `json:"environment,omitempty"` // nil: taken from whoever starts it
	Memory       int64              `json:"memory,omitempty"`
	CPUs         float32            `json:"cpus,omitempty"`
	CPUQuota     int64              `json:"cpuQuota,omitempty"`
	Pids         int64              `json:"pids,omitempty"`
	Limits       *Limits            `json:"limits,omitempty"` // of deploy
	Tmpfs        []string           `json:"tmpfs,omitempty"`
	Volumes      []Volume           `json:"volumes,omitempty"`
	UseAPISocket bool               `json:"useAPISocket,omitempty"`
	HealthCheck  *HealthCheck       `json:"healthCheck,omitempty"`
}

// Limits are those below deploy.
type Limits struct {
	Memory int64   `json:"memory,omitempty"`
	CPUs   float32 `json:"cpus,omitempty"`
	Pids   int64   `json:"pids,omitempty"`
}

// Volume is a mount.
type Volume struct {
	Type      string `json:"type,omitempty"`
	Source    string `json:"source,omitempty"`
	Target    string `json:"target,omitempty"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
	TmpfsSize int64  `json:"tmpfsSize,omitempty"`
}

// HealthCheck is a service's own.
type HealthCheck struct {
	Disable bool     `json:"disable,omitempty"`
	Test    []string `json:"test,omitempty"`
}
