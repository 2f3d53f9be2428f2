"""What happens, told while it happens: server-sent events for pages, a WebSocket to a town.

Both live in the ASGI application alone. Where only WSGI is served, or a proxy lets neither pass,
pages go on asking (`static/towns/refresh.js`).
"""
