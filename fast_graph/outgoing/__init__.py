"""Requests that the server makes to addresses others gave it: webhooks, push notifications, files."""
