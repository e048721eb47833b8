//go:build !linux

package main

func hugeOnRequest() bool { return false }

func advise(int) {}
