//go:build health_nomux

package api

func init() { register() }
