"""Ask the documented example through the generated client, and print the answer."""

import json
import os
from uuid import UUID

from reporting_client import AuthenticatedClient
from reporting_client.api.chat_sessions import report_chat_sessions
from reporting_client.api.discovery import organizations
from reporting_client.models import Answer, ChatSessions, OrganizationList

client = AuthenticatedClient(base_url=os.environ["GATEWAY_URL"], token=os.environ["GATEWAY_TOKEN"], prefix="Token")
usable = organizations.sync(client=client)
assert isinstance(usable, OrganizationList), usable
[own] = [each for each in usable.organizations if not each.is_partner]
report = ChatSessions.from_dict(json.loads(os.environ["REPORT"]))
answer = report_chat_sessions.sync(UUID(own.id), client=client, body=report)
assert isinstance(answer, Answer), answer
print(json.dumps(answer.to_dict()))
